import type { Knex } from 'knex'

/** After this time, a query counts as lost. */
export const QUERY_TIMEOUT_MS = 4000

/** If not, it is SQLite. */
export function isMysql(db: Knex): boolean {
  return db.client.config.client === 'mysql2'
}

/** A name or id to compare with. MySQL stores them as bytes and uses the index for bytes only. */
export function bytes(db: Knex, value: string): string | Buffer {
  return isMysql(db) ? Buffer.from(value, 'utf8') : value
}

/** A name or id that the database returned. */
export function text(value: string | Buffer): string {
  return typeof value === 'string' ? value : value.toString('utf8')
}
