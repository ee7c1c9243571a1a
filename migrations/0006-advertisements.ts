import type { Knex } from 'knex'

/**
 * Advertisements of hosts, for the overlay network. A row is an output of a transaction. When it is
 * spent, `beef` becomes NULL, but the row stays with `spent_by`, so that it is not admitted again.
 */
export async function up(knex: Knex): Promise<void> {
  if (knex.client.config.client === 'mysql2') {
    await knex.raw(`create table if not exists advertisements (
      id bigint unsigned not null auto_increment primary key,
      txid char(64) character set ascii collate ascii_bin not null,
      output_index int unsigned not null,
      identity_key char(66) character set ascii collate ascii_bin not null,
      host varbinary(255) not null,
      beef mediumblob null,
      spent_by char(64) character set ascii collate ascii_bin null,
      created_at bigint not null,
      updated_at bigint not null,
      unique advertisements_outpoint (txid, output_index),
      index advertisements_identity (identity_key, spent_by, id),
      index advertisements_host (host, spent_by, id),
      index advertisements_standing (spent_by, id)
    ) engine=InnoDB`)
    return
  }
  await knex.schema.createTable('advertisements', (table) => {
    table.bigIncrements('id')
    table.text('txid').notNullable()
    table.integer('output_index').notNullable()
    for (const name of ['identity_key', 'host']) table.text(name).notNullable()
    table.binary('beef')
    table.text('spent_by')
    for (const name of ['created_at', 'updated_at']) table.bigInteger(name).notNullable()
    table.unique(['txid', 'output_index'], { indexName: 'advertisements_outpoint' })
    table.index(['identity_key', 'spent_by', 'id'], 'advertisements_identity')
    table.index(['host', 'spent_by', 'id'], 'advertisements_host')
    table.index(['spent_by', 'id'], 'advertisements_standing')
  })
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('advertisements')
}
