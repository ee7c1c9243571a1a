/** Runs migrations. Safe if several nodes start at once, and after a crash during a migration. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Knex } from 'knex'
import { migrationSource } from '../../../migrations'
import type { DatabaseConfig, Quotas } from '../../config'
import { StartError } from '../../contract/errors'
import { codeOf } from './faults'
import { createKnex } from './knex'
import { LEASE_MS, withLease, type CheckLease } from './lease'
import { retryConflicts } from './query'
import { forgetUsage, isCounted, isLimited, recount } from '../quotas'

/** How long a node waits for another one that is migrating. */
const LOCK_TIMEOUT_S = 60
const SQLITE_LOCK_POLL_MS = 20

const STILL_LOCKED =
  `Another node has been preparing the database for ${LOCK_TIMEOUT_S} seconds: ` +
  'try again when it is done'

/** Called before each migration: its name, its number in this run, and how many will run. */
export type OnMigration = (name: string, number: number, count: number) => void

/**
 * @param leaseMs after this time, another node may take over from a killed one
 * @returns Knex's number of the batch, and the names of the migrations that ran now
 */
export async function migrate(
  knex: Knex,
  config: DatabaseConfig,
  onMigration: OnMigration = () => {},
  leaseMs?: number,
): Promise<[batch: number, names: string[]]> {
  const { missing, unknown } = await readSchemaState(knex)
  if (unknown.length > 0) throw describeUnknown(unknown)
  // A replica that takes no writes can serve a schema that is up to date.
  if (missing.length === 0) return [await lastBatch(knex), []]
  return await withLock(
    knex,
    config,
    async (checkLease) => {
      const options = {
        migrationSource: reportMigrations(knex, onMigration, checkLease),
        tableName: 'knex_migrations',
      }
      // This node holds the server's own lock, so Knex's lock can only be left over from a crash.
      if (await knex.schema.hasTable('knex_migrations_lock'))
        await knex.migrate.forceFreeMigrationsLock(options)
      return (await knex.migrate.latest(options)) as [number, string[]]
    },
    leaseMs,
  )
}

/**
 * This server's migrations that have not run, and those that have run but belong to a newer one.
 */
export interface SchemaState {
  missing: string[]
  unknown: string[]
}

/** In a Galera cluster, another node that changes the schema aborts even reads: these retry. */
export async function readSchemaState(knex: Knex): Promise<SchemaState> {
  const rows = await retryConflicts(async (): Promise<Array<{ name: string }>> =>
    (await knex.schema.hasTable('knex_migrations'))
      ? await knex('knex_migrations').select('name').orderBy('id')
      : [],
  )
  return await compareSchema(rows.map(({ name }) => name))
}

/** @param done the names of the migrations that have run */
export async function compareSchema(done: string[]): Promise<SchemaState> {
  const known = (await migrationSource.getMigrations([])).map((migration) =>
    migrationSource.getMigrationName(migration),
  )
  return {
    missing: known.filter((name) => !done.includes(name)),
    unknown: done.filter((name) => !known.includes(name)),
  }
}

async function lastBatch(knex: Knex): Promise<number> {
  const [last] = await retryConflicts(
    async (): Promise<Array<{ batch: number }>> =>
      await knex('knex_migrations').max({ batch: 'batch' }),
  )
  return Number(last!.batch)
}

const OUR_NAME = /^\d{4}-[a-z-]+$/

function describeUnknown(names: string[]): StartError {
  return new StartError(
    names.every((name) => OUR_NAME.test(name))
      ? 'The database was brought up to date by a newer version of this server: ' +
          `this one does not know ${names.join(', ')}. ` +
          'Run the newer one, or restore the backup from before.'
      : 'The database belongs to another program, whose migrations it holds ' +
          `(${names.slice(0, 3).join(', ')}): name a database of its own in KNEX_DB_CONNECTION.`,
  )
}

export async function isMigrated(knex: Knex): Promise<boolean> {
  return (await readSchemaState(knex)).missing.length === 0
}

function reportMigrations(
  knex: Knex,
  onMigration: OnMigration,
  checkLease: CheckLease,
): typeof migrationSource {
  let pending: string[] = []
  let number = 0
  return {
    ...migrationSource,
    async getMigrations(extensions) {
      pending = (await readSchemaState(knex)).missing
      return await migrationSource.getMigrations(extensions)
    },
    async getMigration(entry) {
      const name = migrationSource.getMigrationName(entry)
      const migration = await migrationSource.getMigration(entry)
      return {
        ...migration,
        up: async (trx) => {
          await checkLease()
          onMigration(name, ++number, pending.length)
          await migration.up(trx)
        },
      }
    },
  }
}

/**
 * If there are quotas and no counts yet, counts the stored messages. If there are no quotas,
 * deletes the counts, which become wrong. Call this before the node stores or removes messages.
 * @returns whether it counted the messages
 */
export async function settleUsage(
  knex: Knex,
  config: DatabaseConfig,
  quotas: Quotas,
): Promise<boolean> {
  if (!(await isUnsettled(knex, quotas))) return false
  return await withLock(knex, config, async () => {
    // Another node may have done it meanwhile.
    if (!(await isUnsettled(knex, quotas))) return false
    if (!isLimited(quotas)) await forgetUsage(knex)
    else await recount(knex)
    return isLimited(quotas)
  })
}

/** Whether there are counts without quotas, or messages that are not counted yet. */
async function isUnsettled(knex: Knex, quotas: Quotas): Promise<boolean> {
  const { messages, usage } = await retryConflicts(async () => await isCounted(knex))
  return isLimited(quotas) ? messages && !usage : usage
}

async function withLock<T>(
  knex: Knex,
  config: DatabaseConfig,
  work: (checkLease: CheckLease) => Promise<T>,
  leaseMs = LEASE_MS,
): Promise<T> {
  return config.client === 'mysql2'
    ? await withLease(
        knex,
        { leaseMs, timeoutMs: LOCK_TIMEOUT_S * 1000, message: STILL_LOCKED },
        work,
      )
    : await withSqliteLock(config, async () => await work(async () => {}))
}

/** Locks a second database file: the system frees its write lock when the process ends. */
async function withSqliteLock<T>(config: DatabaseConfig, work: () => Promise<T>): Promise<T> {
  const filename = config.connection.filename as string
  if (filename === ':memory:') return await work()
  const lock = createKnex({ client: config.client, connection: { filename: `${filename}.lock` } })
  try {
    await takeSqliteLock(lock)
    return await work()
  } finally {
    await lock.destroy()
  }
}

/** SQLite's own waiting would block this process, which may also run the node that has the lock. */
async function takeSqliteLock(lock: Knex): Promise<void> {
  await lock.raw('pragma busy_timeout = 0')
  const end = Date.now() + LOCK_TIMEOUT_S * 1000
  for (;;) {
    try {
      await lock.raw('begin exclusive')
      return
    } catch (error) {
      if (!codeOf(error).startsWith('SQLITE_BUSY')) throw error
      if (Date.now() > end) throw new StartError(STILL_LOCKED)
    }
    await pause(SQLITE_LOCK_POLL_MS)
  }
}
