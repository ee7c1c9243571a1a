import type { Knex } from 'knex'

/**
 * One table. Everything about a message is keyed by its recipient. Keys, names and ids compare as bytes: as
 * ASCII or binary columns on MySQL, and by SQLite's default collation. Times are milliseconds since 1970.
 * `body_bytes` stands in the index of the box, so that a page can be measured without reading a body.
 */
export async function up (knex: Knex): Promise<void> {
  const mysql = knex.client.config.client === 'mysql2'
  const key = mysql ? 'char(66) character set ascii collate ascii_bin' : 'text'
  const name = mysql ? 'varbinary(1020)' : 'text'
  await knex.schema.createTable('messages', table => {
    table.bigIncrements('id')
    table.specificType('recipient', key).notNullable()
    table.specificType('message_box', name).notNullable()
    table.specificType('message_id', name).notNullable()
    table.specificType('sender', key).notNullable()
    table.specificType('body', mysql ? 'longtext character set utf8mb4 collate utf8mb4_bin' : 'text').notNullable()
    table.integer('body_bytes').unsigned().notNullable()
    table.bigInteger('created_at').notNullable()
    table.bigInteger('updated_at').notNullable()
    table.unique(['recipient', 'message_id'], { indexName: 'messages_recipient_message_id' })
    table.index(['recipient', 'message_box', 'id', 'body_bytes'], 'messages_box')
  })
}

export async function down (knex: Knex): Promise<void> {
  await knex.schema.dropTable('messages')
}
