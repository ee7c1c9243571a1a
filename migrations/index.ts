import type { Knex } from 'knex'
import * as messages from './0001-messages'
import * as quotaUsage from './0002-quota-usage'
import * as permissions from './0003-permissions'
import * as payments from './0004-payments'
import * as devices from './0005-devices'
import * as advertisements from './0006-advertisements'
import * as schemaLease from './0007-schema-lease'

/**
 * In the order of running. Names have no extension, so running from .ts or .js makes no difference.
 */
const MIGRATIONS: Array<[name: string, migration: Knex.Migration]> = [
  ['0001-messages', messages],
  ['0002-quota-usage', quotaUsage],
  ['0003-permissions', permissions],
  ['0004-payments', payments],
  ['0005-devices', devices],
  ['0006-advertisements', advertisements],
  ['0007-schema-lease', schemaLease],
]

export const migrationSource: Knex.MigrationSource<[string, Knex.Migration]> = {
  getMigrations: async () => MIGRATIONS,
  getMigrationName: ([name]) => name,
  getMigration: async ([, migration]) => migration,
}
