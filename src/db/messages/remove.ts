/**
 * Removes messages. If there are quotas, removals share transactions that also change the counts.
 */
import type { Knex } from 'knex'
import { BatchQueue, type Committed, type Job, type OnCommit } from '../engine/batchQueue'
import { retryConflicts } from '../engine/query'
import { transact } from '../engine/transaction'
import type { QuotaCounter } from '../quotas'
import { deleteByIds, deleteMessages, idKey, lockMessages, toLocked, type MessageName } from './sql'

interface RemovalJob extends Job {
  names: MessageName[]
}

export interface Removal {
  /** @returns how many of these messages it has removed, durably */
  remove: (names: MessageName[]) => Promise<number>
}

/** @param isSlow whether a long transaction is storing any of these messages */
export function createRemoval(
  knex: Knex,
  counter: QuotaCounter,
  isSlow: (keys: string[]) => boolean,
  onCommit: OnCommit = () => {},
): Removal {
  if (!counter.counts) return { remove: async (names) => await removeAlone(knex, names, onCommit) }
  const createQueue = (): BatchQueue<RemovalJob, number> =>
    new BatchQueue(
      async (jobs) => await retryConflicts(async () => await removeTogether(knex, counter, jobs)),
      onCommit,
    )
  // Removals that wait for the locks of a long transaction do not delay the others.
  const [queue, slowQueue] = [createQueue(), createQueue()]
  return {
    remove: async (names) =>
      await (isSlow(names.map(idKey)) ? slowQueue : queue).run({
        names,
        rows: names.length,
        bytes: 0,
        keys: [],
      }),
  }
}

async function removeAlone(knex: Knex, names: MessageName[], onCommit: OnCommit): Promise<number> {
  const since = performance.now()
  const rows = await retryConflicts(async () => await deleteMessages(knex, names))
  if (rows > 0) onCommit(rows, (performance.now() - since) / 1000)
  return rows
}

/**
 * Each answer says how many messages a job removed. If two jobs name one, it counts for the first.
 */
async function removeTogether(
  knex: Knex,
  counter: QuotaCounter,
  jobs: RemovalJob[],
): Promise<Committed<number>> {
  const names = jobs.flatMap((job) => job.names)
  if (names.length === 0) return { answers: jobs.map(() => 0), rows: 0 }
  return await transact(knex, async ({ run, commit }) => {
    const [found = []] = await run([lockMessages(knex, names)])
    const rows = toLocked(found)
    const ids = rows.map(({ id }) => id)
    await commit(rows.length === 0 ? [] : [deleteByIds(knex, ids), ...counter.subtract(knex, rows)])
    const left = new Set(rows.map(idKey))
    return {
      answers: jobs.map(({ names }) => names.filter((name) => left.delete(idKey(name))).length),
      rows: rows.length,
    }
  })
}
