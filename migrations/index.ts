import type { Knex } from 'knex'
import * as messages from './0001-messages'
import * as quotaUsage from './0002-quota-usage'

/** Every migration in its order. Names have no extension, so a run from .ts and one from .js are the same. */
const MIGRATIONS: Array<[name: string, migration: Knex.Migration]> = [
  ['0001-messages', messages],
  ['0002-quota-usage', quotaUsage]
]

export const migrationSource: Knex.MigrationSource<[string, Knex.Migration]> = {
  getMigrations: async () => MIGRATIONS,
  getMigrationName: ([name]) => name,
  getMigration: async ([, migration]) => migration
}
