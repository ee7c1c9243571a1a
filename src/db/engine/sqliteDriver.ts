/**
 * SQLite's driver for the running Node. better-sqlite3 12 aborts the process on Node 24.19 and
 * later when it collects a statement, and better-sqlite3 13 does not run on Node 20. So both are
 * installed, version 13 under another name.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import type { Knex } from 'knex'
import { BoundedMap } from '../../lib/boundedMap'

const FIRST_NODE_OF_13 = 22

export function sqliteDriver(): typeof Database {
  const major = Number(process.versions.node.split('.')[0])
  return major >= FIRST_NODE_OF_13 ? require('better-sqlite3-13') : require('better-sqlite3')
}

const KnexSqlite = require('knex/lib/dialects/better-sqlite3') as typeof Knex.Client

const { _query: runQuery } = KnexSqlite.prototype as unknown as {
  _query: (this: Knex.Client, connection: unknown, query: unknown) => Promise<unknown>
}

/** How long a statement waits for the lock of another process: less than QUERY_TIMEOUT_MS. */
const MAX_BUSY_MS = 3500
const BUSY_POLL_MS = 2

/** Waits for the lock of another process. The driver's own waiting would block the thread. */
export async function retryWhileBusy<T>(work: () => T | Promise<T>): Promise<T> {
  for (const end = performance.now() + MAX_BUSY_MS; ;) {
    try {
      return await work()
    } catch (error) {
      if ((error as { code?: string }).code !== 'SQLITE_BUSY' || performance.now() > end)
        throw error
    }
    await pause(BUSY_POLL_MS)
  }
}

export interface SqliteConnection {
  readonly inTransaction: boolean
  prepare: (sql: string) => SqliteStatement
}

interface SqliteStatement {
  /** Whether it returns rows. */
  readonly reader: boolean
  all: (...bindings: unknown[]) => unknown[]
  run: (...bindings: unknown[]) => unknown
}

/** How many prepared statements a connection keeps, and how long their SQL may be. */
const MAX_PREPARED = 64
const MAX_PREPARED_LENGTH = 4000

const preparedOf = new WeakMap<SqliteConnection, BoundedMap<string, SqliteStatement>>()

/** Runs a statement and keeps it prepared. @returns its rows, if it selects any */
export function runOnSqlite(
  connection: SqliteConnection,
  sql: string,
  bindings: readonly unknown[],
): unknown[] {
  const statement = prepareOnce(connection, sql)
  if (statement.reader) return statement.all(...bindings)
  statement.run(...bindings)
  return []
}

function prepareOnce(connection: SqliteConnection, sql: string): SqliteStatement {
  if (sql.length > MAX_PREPARED_LENGTH) return connection.prepare(sql)
  const prepared = preparedOf.get(connection) ?? new BoundedMap(MAX_PREPARED)
  preparedOf.set(connection, prepared)
  const statement = prepared.get(sql) ?? connection.prepare(sql)
  prepared.set(sql, statement)
  return statement
}

export class SqliteClient extends KnexSqlite {
  async _query(connection: unknown, query: unknown): Promise<unknown> {
    return await retryWhileBusy(async () => await runQuery.call(this, connection, query))
  }

  _driver(): unknown {
    return sqliteDriver()
  }

  /** Knex's version would ask the operator to install a package that is already there. */
  initializeDriver(): void {
    this.driver = this._driver()
  }
}
