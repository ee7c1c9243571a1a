/**
 * SQLite's driver for the Node that runs. better-sqlite3 12 aborts the process on Node 24.19 and later when it collects
 * a statement, and better-sqlite3 13 does not run on Node 20: both are here, the second under a name of its own.
 */
import type Database from 'better-sqlite3'
import type { Knex } from 'knex'

const FIRST_NODE_OF_13 = 22

export function sqliteDriver (): typeof Database {
  const major = Number(process.versions.node.split('.')[0])
  return major >= FIRST_NODE_OF_13 ? require('better-sqlite3-13') : require('better-sqlite3')
}

const KnexSqlite = require('knex/lib/dialects/better-sqlite3') as typeof Knex.Client

/** Knex's dialect for SQLite, with that driver. */
export class SqliteClient extends KnexSqlite {
  _driver (): unknown { return sqliteDriver() }
}
