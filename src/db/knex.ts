/** Knex for SQLite and MySQL, with what this server relies on set on every connection. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import knex, { type Knex } from 'knex'
import type { DatabaseConfig } from '../config'
import { SqliteClient } from './sqliteDriver'

/** How long anything waits for a connection, in milliseconds. */
const CONNECT_TIMEOUT = 3000
const SQLITE_WAIT = 60_000
const MYSQL_POOL = 10

export function createKnex (config: DatabaseConfig): Knex {
  return knex({ ...(config.client === 'mysql2' ? mysqlOptions(config) : sqliteOptions(config)), log: SILENT })
}

/** Every fault reaches its caller as an error. Knex would print it too, statement and all, past the server's log. */
const SILENT: Knex.Logger = { debug () {}, warn () {}, error () {}, deprecate () {} }

function mysqlOptions ({ client, connection }: DatabaseConfig): Knex.Config {
  return {
    client,
    // Several statements at once save journeys to the database, see transaction.ts; values are bound, always.
    connection: { charset: 'utf8mb4', timezone: 'Z', connectTimeout: CONNECT_TIMEOUT, ...connection, multipleStatements: true },
    acquireConnectionTimeout: CONNECT_TIMEOUT,
    pool: {
      min: 0,
      max: MYSQL_POOL,
      afterCreate (connection: { query: (sql: string, done: (error: unknown) => void) => void }, done: (error: unknown, connection: unknown) => void) {
        // Strict: nothing is cut or converted in silence. READ COMMITTED: no gap locks between senders.
        connection.query('SET SESSION sql_mode = \'STRICT_ALL_TABLES\', SESSION transaction_isolation = \'READ-COMMITTED\'',
          error => {
            if (!isUnknownVariable(error)) return done(error, connection)
            // MariaDB before 11.1 knows the variable by its older name.
            connection.query('SET SESSION sql_mode = \'STRICT_ALL_TABLES\', SESSION tx_isolation = \'READ-COMMITTED\'', error => { done(error, connection) })
          })
      }
    }
  }
}

function isUnknownVariable (error: unknown): boolean {
  return (error as { code?: string } | null)?.code === 'ER_UNKNOWN_SYSTEM_VARIABLE'
}

function sqliteOptions ({ connection }: DatabaseConfig): Knex.Config {
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
      afterCreate (connection: { pragma: (text: string) => unknown }, done: (error: unknown, connection: unknown) => void) {
        connection.pragma('busy_timeout = 5000')
        connection.pragma('journal_mode = WAL')
        connection.pragma('synchronous = FULL')
        done(null, connection)
      }
    }
  }
}
