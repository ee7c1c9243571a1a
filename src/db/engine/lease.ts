/**
 * The lock that lets one node prepare a MySQL database while the others wait. It is a row, because
 * a Galera cluster replicates rows but not MySQL's named locks. It expires, so that a killed node
 * does not keep it.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Knex } from 'knex'
import { StartError } from '../../contract/errors'
import { isConflict } from './faults'
import { retryConflicts } from './query'

/** A lease that is not renewed expires. A migration may block a cluster's writes for that long. */
export const LEASE_MS = 20_000
const POLL_INTERVAL_MS = 100
const RENEWALS_PER_LEASE = 4

/**
 * Runs work while no other node does.
 * @param timeoutMs how long to wait for the others
 * @throws StartError with `message` if they take longer
 */
export async function withLease<T>(
  knex: Knex,
  { leaseMs, timeoutMs, message }: { leaseMs: number; timeoutMs: number; message: string },
  work: (checkLease: CheckLease) => Promise<T>,
): Promise<T> {
  const holder = randomUUID()
  await createTable(knex)
  const end = performance.now() + timeoutMs
  while (!(await take(knex, holder, leaseMs))) {
    if (performance.now() > end) throw new StartError(message)
    await pause(POLL_INTERVAL_MS)
  }
  const renew = async (): Promise<boolean> => await update(knex, 'holder = ?', holder, leaseMs)
  let renewal: Promise<unknown> = Promise.resolve()
  // If a renewal fails, the lease expires, and the work meets the same fault.
  const timer = setInterval(() => {
    renewal = renew().catch(() => {})
  }, leaseMs / RENEWALS_PER_LEASE).unref()
  try {
    return await work(async () => {
      if (!(await renew()))
        throw new StartError(
          'Another node has taken over to prepare the database, ' +
            'since this one took too long: start again.',
        )
    })
  } finally {
    clearInterval(timer)
    await renewal
    // A lease that cannot be given back expires.
    await retryConflicts(async () => {
      await knex('schema_lease').where({ id: 1, holder }).update({ holder: null })
    }).catch(() => {})
  }
}

/** Throws a StartError if another node has the lease by now. */
export type CheckLease = () => Promise<void>

async function createTable(knex: Knex): Promise<void> {
  // An account without schema privileges may use the table, but not run `create table`.
  if (!(await knex.schema.hasTable('schema_lease'))) await createLeaseTable(knex)
  await retryConflicts(async () => {
    await knex.raw('insert ignore into schema_lease (id) values (1)')
  })
}

export async function createLeaseTable(knex: Knex): Promise<void> {
  await knex.raw(`create table if not exists schema_lease (
    id tinyint not null,
    holder char(36) character set ascii collate ascii_bin null,
    expires_at datetime(3) null,
    primary key (id)
  ) engine=InnoDB`)
}

async function take(knex: Knex, holder: string, leaseMs: number): Promise<boolean> {
  return await update(knex, '(holder is null or expires_at < utc_timestamp(3))', holder, leaseMs)
}

/** @returns whether the holder has the lease now */
async function update(
  knex: Knex,
  condition: string,
  holder: string,
  leaseMs: number,
): Promise<boolean> {
  try {
    const [{ affectedRows }] = await knex.raw(
      'update schema_lease set holder = ?,' +
        ' expires_at = date_add(utc_timestamp(3), interval ? microsecond)' +
        ` where id = 1 and ${condition}`,
      [holder, leaseMs * 1000, ...(condition.includes('?') ? [holder] : [])],
    )
    return affectedRows === 1
  } catch (error) {
    if (isConflict(error)) return false
    throw error
  }
}
