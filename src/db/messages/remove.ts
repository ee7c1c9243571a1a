/** Removes messages and counts them off, by group commit; where nothing is counted, each removal is a statement by itself. */
import type { Knex } from 'knex'
import { BatchQueue, type Committed, type Job, type OnCommit } from '../engine/batchQueue'
import { deleteByIds, deleteMessages, idKey, lockMessages, toLocked, type MessageName } from './sql'
import type { Ledger } from '../quotas'
import { retryConflicts } from '../engine/retries'
import { transact } from '../engine/transaction'

interface Names extends Job {
  names: MessageName[]
}

export interface Removal {
  /** @returns how many of these messages were there, and are gone now, for good */
  remove: (names: MessageName[]) => Promise<number>
}

/** @param isSlow whether any of these messages is being stored by a transaction that takes its time */
export function createRemoval(
  knex: Knex,
  ledger: Ledger,
  isSlow: (keys: string[]) => boolean,
  onCommit: OnCommit = () => {},
): Removal {
  if (!ledger.counts) return { remove: async (names) => await removeAlone(knex, names, onCommit) }
  const newQueue = (): BatchQueue<Names, number> =>
    new BatchQueue(
      async (jobs) => await retryConflicts(async () => await removeTogether(knex, ledger, jobs)),
      onCommit,
    )
  const [lane, slow] = [newQueue(), newQueue()]
  return {
    remove: async (names) =>
      await (isSlow(names.map(idKey)) ? slow : lane).run({
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

/** The answers are how many messages each job has removed; one that two jobs name is the first one's. */
async function removeTogether(
  knex: Knex,
  ledger: Ledger,
  jobs: Names[],
): Promise<Committed<number>> {
  const names = jobs.flatMap((job) => job.names)
  if (names.length === 0) return { answers: jobs.map(() => 0), rows: 0 }
  return await transact(knex, async ({ run, commit }) => {
    const [found = []] = await run([lockMessages(knex, names)])
    const rows = toLocked(found)
    await commit(
      rows.length === 0
        ? []
        : [
            deleteByIds(
              knex,
              rows.map(({ id }) => id),
            ),
            ...ledger.subtract(knex, rows),
          ],
    )
    const left = new Set(rows.map(idKey))
    return {
      answers: jobs.map(({ names }) => names.filter((name) => left.delete(idKey(name))).length),
      rows: rows.length,
    }
  })
}
