/** Knex for SQLite and MySQL, with what this server relies on set on every connection. */
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import knex, { type Knex } from 'knex'
import type { DatabaseConfig } from '../../config'
import { RELIED_ON } from '../../config/parsers'
import { isNotForWriting } from './faults'
import { retryWhileBusy, SqliteClient } from './sqliteDriver'

/** How long anything waits for a connection, in milliseconds. */
const CONNECT_TIMEOUT = 3000
const SQLITE_WAIT = 60_000
const MYSQL_POOL = 10
/** How large SQLite's log stays when everything in it has been carried over. */
const MAX_IDLE_WAL_BYTES = 8 * 1024 * 1024

export function createKnex(config: DatabaseConfig): Knex {
  if (config.client !== 'mysql2') return knex({ ...sqliteOptions(config), log: SILENT })
  const db = knex({ ...mysqlOptions(config), log: SILENT })
  db.on('query-error', (error: Error) => {
    if (isNotForWriting(error)) retireConnections(db, error)
  })
  return db
}

/** After a failover standing connections stay with the old primary: none of them is used again, those that are in use included. */
function retireConnections(db: Knex, error: Error): void {
  const { used, free } = db.client.pool as Record<'used' | 'free', Array<{ resource: object }>>
  for (const { resource } of [...used, ...free])
    Object.assign(resource, { __knex__disposed: error })
}

/** Every fault reaches its caller as an error. Knex would print it too, statement and all, past the server's log. */
const SILENT: Knex.Logger = { debug() {}, warn() {}, error() {}, deprecate() {} }

function mysqlOptions({ client, connection }: DatabaseConfig): Knex.Config {
  return {
    client,
    connection: {
      connectTimeout: CONNECT_TIMEOUT,
      ...connection,
      ...(connection.ssl === true && { ssl: {} }),
      ...RELIED_ON,
    },
    acquireConnectionTimeout: CONNECT_TIMEOUT,
    pool: {
      min: 0,
      max: MYSQL_POOL,
      afterCreate(
        connection: MysqlConnection,
        done: (error: unknown, connection: unknown) => void,
      ) {
        prepareMysql(connection, 'transaction_isolation', (error) => {
          if (!isUnknownVariable(error)) return done(error, connection)
          // MariaDB before 11.1 knows the variable by its older name.
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
 * Sets what this server relies on: its character set, since a server may impose another one; the strict mode, so that
 * nothing is cut or converted in silence; READ COMMITTED, so that senders do not wait for gap locks.
 */
function prepareMysql(
  connection: MysqlConnection,
  isolation: string,
  done: (error: unknown) => void,
): void {
  connection.query(
    `SET NAMES utf8mb4; SET SESSION sql_mode = 'STRICT_ALL_TABLES', SESSION ${isolation} = 'READ-COMMITTED'`,
    done,
  )
}

function isUnknownVariable(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === 'ER_UNKNOWN_SYSTEM_VARIABLE'
}

/** Which files of SQLite's this process has open, by their names. */
const openedFiles = new Map<string, number | undefined>()

/** Whether a file was deleted or replaced since it was opened: SQLite goes on with it, and all is lost when it ends. */
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
    // There is one connection, and waiting for a transaction of our own is no outage.
    acquireConnectionTimeout: SQLITE_WAIT,
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
