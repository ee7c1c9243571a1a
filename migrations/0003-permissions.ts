import type { Knex } from 'knex'

/**
 * Who may write to a box, and at what price: one rule for a sender, or for everyone, whose sender is ''. A null
 * would let any number of rules for everyone stand beside each other, on MySQL and on SQLite.
 */
export async function up(knex: Knex): Promise<void> {
  if (knex.client.config.client === 'mysql2') {
    await knex.raw(`create table if not exists permissions (
      recipient char(66) character set ascii collate ascii_bin not null,
      message_box varbinary(1020) not null,
      sender varchar(66) character set ascii collate ascii_bin not null,
      recipient_fee bigint not null,
      created_at bigint not null,
      updated_at bigint not null,
      primary key (recipient, message_box, sender)
    ) engine=InnoDB`)
    return
  }
  await knex.schema.createTable('permissions', (table) => {
    for (const name of ['recipient', 'message_box', 'sender']) table.text(name).notNullable()
    table.bigInteger('recipient_fee').notNullable()
    table.bigInteger('created_at').notNullable()
    table.bigInteger('updated_at').notNullable()
    table.primary(['recipient', 'message_box', 'sender'])
  })
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('permissions')
}
