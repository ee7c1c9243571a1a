import type { Knex } from 'knex'

/** After this time, a query counts as lost. */
export const QUERY_TIMEOUT_MS = 4000

/** If not, it is SQLite. */
export function isMysql(db: Knex): boolean {
  return db.client.config.client === 'mysql2'
}

/** A name or id for comparison: MySQL keeps them as bytes, and would not use the index for a text. */
export function bytes(db: Knex, value: string): string | Buffer {
  return isMysql(db) ? Buffer.from(value, 'utf8') : value
}

/** A name or id as it came from the database. */
export function text(value: string | Buffer): string {
  return typeof value === 'string' ? value : value.toString('utf8')
}
