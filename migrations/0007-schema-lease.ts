import type { Knex } from 'knex'
import { createLeaseTable } from '../src/db/engine/lease'

/** The lock under which one of many nodes prepares the database. SQLite has one of its own. */
export async function up(knex: Knex): Promise<void> {
  if (knex.client.config.client === 'mysql2') await createLeaseTable(knex)
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTableIfExists('schema_lease')
}
