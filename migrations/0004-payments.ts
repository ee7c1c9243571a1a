import type { Knex } from 'knex'

/**
 * Payments for messages. A row of `payments` is `claimed` before its message is stored, `stored`
 * together with the message, and `settled` when the server's wallet has its output. A row of
 * `payment_outpoints` is one output that pays for the message, and cannot pay for another one.
 */
export async function up(knex: Knex): Promise<void> {
  if (knex.client.config.client === 'mysql2') {
    await knex.raw(`create table if not exists payments (
      id char(32) character set ascii collate ascii_bin not null primary key,
      txid char(64) character set ascii collate ascii_bin not null,
      sender char(66) character set ascii collate ascii_bin not null,
      message_key char(64) character set ascii collate ascii_bin not null,
      message_ids mediumtext character set utf8mb4 collate utf8mb4_bin not null,
      state enum('claimed', 'stored', 'settled') not null,
      token char(32) character set ascii collate ascii_bin not null,
      beef mediumblob null,
      server_outputs text character set utf8mb4 collate utf8mb4_bin null,
      attempts int unsigned not null,
      last_fault varchar(1000) character set utf8mb4 collate utf8mb4_bin null,
      due_at bigint not null,
      created_at bigint not null,
      updated_at bigint not null,
      index payments_due (state, due_at)
    ) engine=InnoDB`)
    await knex.raw(`create table if not exists payment_outpoints (
      outpoint varchar(80) character set ascii collate ascii_bin not null primary key,
      payment_id char(32) character set ascii collate ascii_bin not null,
      index payment_outpoints_payment (payment_id)
    ) engine=InnoDB`)
    return
  }
  await knex.schema.createTable('payments', (table) => {
    table.text('id').notNullable().primary()
    for (const name of ['txid', 'sender', 'message_key', 'message_ids', 'state', 'token'])
      table.text(name).notNullable()
    table.binary('beef')
    table.text('server_outputs')
    table.integer('attempts').notNullable()
    table.text('last_fault')
    for (const name of ['due_at', 'created_at', 'updated_at']) table.bigInteger(name).notNullable()
    table.index(['state', 'due_at'], 'payments_due')
  })
  await knex.schema.createTable('payment_outpoints', (table) => {
    table.text('outpoint').notNullable().primary()
    table.text('payment_id').notNullable()
    table.index(['payment_id'], 'payment_outpoints_payment')
  })
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('payment_outpoints')
  await knex.schema.dropTable('payments')
}
