/**
 * The lock under which one node prepares a MySQL database while others wait. It is a row, since a Galera cluster
 * replicates rows, and not MySQL's named locks; and it is a lease, so that a node which was killed does not keep it.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Knex } from 'knex'
import { StartError } from '../errors'
import { isConflict } from './faults'
import { retryConflicts } from './retries'

/** How long a lease holds that is not renewed: as long as a migration may keep a cluster from writing anything else. */
export const LEASE_MS = 20_000
/** How often a node that waits asks, and how often the one that has the lease renews it. */
const INTERVAL_MS = 100
const RENEWALS = 4

/**
 * Runs work while no other node does.
 * @param timeoutMs how long to wait for the others
 * @throws StartError with `message` if they take longer
 */
export async function withLease<T> (knex: Knex, { leaseMs, timeoutMs, message }: { leaseMs: number, timeoutMs: number, message: string }, work: () => Promise<T>): Promise<T> {
  const holder = randomUUID()
  await createTable(knex)
  const end = performance.now() + timeoutMs
  while (!await take(knex, holder, leaseMs)) {
    if (performance.now() > end) throw new StartError(message)
    await pause(INTERVAL_MS)
  }
  // What cannot be renewed runs out; the work itself meets the same fault.
  const timer = setInterval(() => { take(knex, holder, leaseMs).catch(() => {}) }, leaseMs / RENEWALS).unref()
  try {
    return await work()
  } finally {
    clearInterval(timer)
    await retryConflicts(async () => { await knex('schema_lease').where({ id: 1, holder }).update({ holder: null }) })
  }
}

async function createTable (knex: Knex): Promise<void> {
  // An account without rights on the schema may use it, but not ask for it to be made.
  if (!await knex.schema.hasTable('schema_lease')) await createLeaseTable(knex)
  await retryConflicts(async () => { await knex.raw('insert ignore into schema_lease (id) values (1)') })
}

export async function createLeaseTable (knex: Knex): Promise<void> {
  await knex.raw(`create table if not exists schema_lease (
    id tinyint not null,
    holder char(36) character set ascii collate ascii_bin null,
    expires_at datetime(3) null,
    primary key (id)
  ) engine=InnoDB`)
}

/** Takes the lease if it is free, or renews it. */
async function take (knex: Knex, holder: string, leaseMs: number): Promise<boolean> {
  try {
    const [{ affectedRows }] = await knex.raw(
      `update schema_lease set holder = ?, expires_at = date_add(utc_timestamp(3), interval ? microsecond)
        where id = 1 and (holder is null or holder = ? or expires_at < utc_timestamp(3))`,
      [holder, leaseMs * 1000, holder]
    )
    return affectedRows === 1
  } catch (error) {
    if (isConflict(error)) return false
    throw error
  }
}
