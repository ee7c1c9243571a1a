/** Creates Knex for SQLite and MySQL. Every connection gets the settings that this server needs. */
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import knex, { type Knex } from 'knex'
import type { DatabaseConfig } from '../../config'
import { RELIED_ON } from '../../config/database'
import { isNotForWriting } from './faults'
import { retryWhileBusy, SqliteClient } from './sqliteDriver'

const CONNECT_TIMEOUT_MS = 3000
const SQLITE_ACQUIRE_TIMEOUT_MS = 60_000
export const MAX_MYSQL_CONNECTIONS = 10
/** The size that SQLite truncates its write-ahead log to after a checkpoint. */
const MAX_IDLE_WAL_BYTES = 8 * 1024 * 1024

export function createKnex(config: DatabaseConfig): Knex {
  if (config.client !== 'mysql2') return knex({ ...sqliteOptions(config), log: SILENT })
  const db = knex({ ...mysqlOptions(config), log: SILENT })
  db.on('query-error', (error: Error) => {
    if (isNotForWriting(error)) retireConnections(db, error)
  })
  return db
}

/** After a failover, open connections still lead to the old primary: Knex must not reuse any. */
function retireConnections(db: Knex, error: Error): void {
  const { used, free } = db.client.pool as Record<'used' | 'free', Array<{ resource: object }>>
  for (const { resource } of [...used, ...free])
    Object.assign(resource, { __knex__disposed: error })
}

/** Callers get every error. Knex would also print it with its statement, past the server's log. */
const SILENT: Knex.Logger = { debug() {}, warn() {}, error() {}, deprecate() {} }

function mysqlOptions({ client, connection, maxConnections }: DatabaseConfig): Knex.Config {
  return {
    client,
    connection: {
      connectTimeout: CONNECT_TIMEOUT_MS,
      ...connection,
      ...(connection.ssl === true && { ssl: {} }),
      ...RELIED_ON,
    },
    acquireConnectionTimeout: CONNECT_TIMEOUT_MS,
    pool: {
      min: 0,
      max: maxConnections ?? MAX_MYSQL_CONNECTIONS,
      afterCreate(
        connection: MysqlConnection,
        done: (error: unknown, connection: unknown) => void,
      ) {
        prepareMysql(connection, 'transaction_isolation', (error) => {
          if (!isUnknownVariable(error)) return done(error, connection)
          // MariaDB before 11.1 has only the older name of the variable.
          prepareMysql(connection, 'tx_isolation', (error) => {
            done(error, connection)
          })
        })
      },
    },
  }
}

interface MysqlConnection {
  query: (sql: string, done: (error: unknown) => void) => void
}

/**
 * Sets the character set, because the database server may impose another one; the strict mode, so
 * that MySQL does not silently cut or convert values; and READ COMMITTED, so that senders do not
 * wait for gap locks.
 */
function prepareMysql(
  connection: MysqlConnection,
  isolation: string,
  done: (error: unknown) => void,
): void {
  connection.query(
    "SET NAMES utf8mb4; SET SESSION sql_mode = 'STRICT_ALL_TABLES'," +
      ` SESSION ${isolation} = 'READ-COMMITTED'`,
    done,
  )
}

function isUnknownVariable(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === 'ER_UNKNOWN_SYSTEM_VARIABLE'
}

/** The inodes of the SQLite files that this process has open, by file name. */
const openedFiles = new Map<string, number | undefined>()

/**
 * Whether a file was deleted or replaced since it was opened. SQLite continues with the old file,
 * which is lost when the process ends.
 */
export function isFileGone(filename: string): boolean {
  return openedFiles.get(filename) !== statSync(filename, { throwIfNoEntry: false })?.ino
}

interface SqliteConnection {
  pragma: (text: string) => unknown
}

function prepareSqlite(connection: SqliteConnection): void {
  connection.pragma('journal_mode = WAL')
  connection.pragma('synchronous = FULL')
  connection.pragma(`journal_size_limit = ${MAX_IDLE_WAL_BYTES}`)
}

function sqliteOptions({ connection }: DatabaseConfig): Knex.Config {
  const filename = connection.filename as string
  if (filename !== ':memory:') mkdirSync(dirname(filename), { recursive: true })
  return {
    client: SqliteClient,
    connection,
    useNullAsDefault: true,
    // There is one connection: waiting for another transaction of this process is no outage.
    acquireConnectionTimeout: SQLITE_ACQUIRE_TIMEOUT_MS,
    pool: {
      min: 1,
      max: 1,
      afterCreate(
        connection: SqliteConnection,
        done: (error: unknown, connection: unknown) => void,
      ) {
        connection.pragma('busy_timeout = 0')
        openedFiles.set(filename, statSync(filename, { throwIfNoEntry: false })?.ino)
        retryWhileBusy(() => {
          prepareSqlite(connection)
        }).then(
          () => {
            done(null, connection)
          },
          (error: unknown) => {
            done(error, connection)
          },
        )
      },
    },
  }
}
