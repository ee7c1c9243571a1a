import type { Knex } from 'knex'

/**
 * All keys of a message begin with its recipient. Keys, names and ids compare as bytes: MySQL has
 * ASCII or binary columns for them, SQLite its default collation. Times are milliseconds since
 * 1970. `body_bytes` is in the index of the box, so that measuring a page reads no body.
 */
export async function up(knex: Knex): Promise<void> {
  if (
    (await knex.schema.hasTable('messages')) &&
    !(await knex.schema.hasColumn('messages', 'body_bytes'))
  ) {
    throw new Error(
      'The database has a table "messages" of another program: ' +
        'give this server a database of its own',
    )
  }
  if (knex.client.config.client === 'mysql2') await createOnMysql(knex)
  else await createOnSqlite(knex)
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('messages')
}

/** MySQL has no transactions for DDL. A single statement is atomic and can be repeated. */
async function createOnMysql(knex: Knex): Promise<void> {
  await knex.raw(`create table if not exists messages (
    id bigint unsigned not null auto_increment primary key,
    recipient char(66) character set ascii collate ascii_bin not null,
    message_box varbinary(1020) not null,
    message_id varbinary(1020) not null,
    sender char(66) character set ascii collate ascii_bin not null,
    body longtext character set utf8mb4 collate utf8mb4_bin not null,
    body_bytes int unsigned not null,
    created_at bigint not null,
    updated_at bigint not null,
    unique messages_recipient_message_id (recipient, message_id),
    index messages_box (recipient, message_box, id, body_bytes)
  ) engine=InnoDB`)
}

async function createOnSqlite(knex: Knex): Promise<void> {
  await knex.schema.createTable('messages', (table) => {
    table.bigIncrements('id')
    for (const name of ['recipient', 'message_box', 'message_id', 'sender', 'body'])
      table.text(name).notNullable()
    table.integer('body_bytes').notNullable()
    table.bigInteger('created_at').notNullable()
    table.bigInteger('updated_at').notNullable()
    table.unique(['recipient', 'message_id'], { indexName: 'messages_recipient_message_id' })
    table.index(['recipient', 'message_box', 'id', 'body_bytes'], 'messages_box')
  })
}
