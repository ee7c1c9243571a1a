import type { Knex } from 'knex'

/**
 * Devices that get push notifications. A registration belongs to an identity and a token, so
 * several identities on one phone each have their own. Tokens are long: the unique key has their
 * SHA-256.
 */
export async function up(knex: Knex): Promise<void> {
  if (knex.client.config.client === 'mysql2') {
    await knex.raw(`create table if not exists devices (
      id bigint unsigned not null auto_increment primary key,
      identity_key char(66) character set ascii collate ascii_bin not null,
      token_hash char(64) character set ascii collate ascii_bin not null,
      fcm_token text character set utf8mb4 collate utf8mb4_bin not null,
      device_id varchar(255) character set utf8mb4 collate utf8mb4_bin null,
      platform varchar(16) character set ascii collate ascii_bin null,
      active boolean not null,
      created_at bigint not null,
      updated_at bigint not null,
      last_used bigint not null,
      unique devices_token (identity_key, token_hash)
    ) engine=InnoDB`)
    return
  }
  await knex.schema.createTable('devices', (table) => {
    table.increments('id')
    for (const name of ['identity_key', 'token_hash', 'fcm_token']) table.text(name).notNullable()
    for (const name of ['device_id', 'platform']) table.text(name)
    table.boolean('active').notNullable()
    for (const name of ['created_at', 'updated_at', 'last_used'])
      table.bigInteger(name).notNullable()
    table.unique(['identity_key', 'token_hash'], { indexName: 'devices_token' })
  })
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('devices')
}
