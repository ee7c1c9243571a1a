import type { Knex } from 'knex'

/** After how long a query counts as lost, in milliseconds. */
export const QUERY_TIMEOUT = 4000

/** Whether statements are for MySQL; otherwise they are for SQLite. */
export function isMysql (db: Knex): boolean {
  return db.client.config.client === 'mysql2'
}
