import type { Knex } from 'knex'

/**
 * The price for a sender to write to a box. In a rule for every sender, `sender` is ''. With NULL,
 * MySQL and SQLite would allow several such rules for one box.
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
