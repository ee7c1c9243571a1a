import type { Knex } from 'knex'
import { createLeaseTable } from '../src/db/engine/lease'

/** The lock that lets one node prepare the database. SQLite uses a lock file instead. */
export async function up(knex: Knex): Promise<void> {
  if (knex.client.config.client === 'mysql2') await createLeaseTable(knex)
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTableIfExists('schema_lease')
}
