import type { Knex } from 'knex'

/**
 * How much is stored for each recipient (`inbox`) and from each sender (`sender`): messages, and
 * bytes of bodies. If quotas are on, every transaction that stores or removes messages also changes
 * these counts. If the table is empty, a start with quotas counts the stored messages.
 */
export async function up(knex: Knex): Promise<void> {
  if (knex.client.config.client === 'mysql2') {
    await knex.raw(`create table if not exists quota_usage (
      identity_key char(66) character set ascii collate ascii_bin not null,
      subject enum('inbox', 'sender') not null,
      messages bigint not null,
      bytes bigint not null,
      primary key (identity_key, subject)
    ) engine=InnoDB`)
    return
  }
  await knex.schema.createTable('quota_usage', (table) => {
    table.text('identity_key').notNullable()
    table.text('subject').notNullable()
    table.bigInteger('messages').notNullable()
    table.bigInteger('bytes').notNullable()
    table.primary(['identity_key', 'subject'])
  })
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('quota_usage')
}
