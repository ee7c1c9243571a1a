import { describe, expect, test } from '@jest/globals'
import pino from 'pino'
import { createKnex } from '../../src/db/engine/knex'
import { migrate as runMigrations, settleUsage } from '../../src/db/engine/migrate'
import { ENGINES } from '../../tools/databases/databases'
import { expectCors, expectError } from '../../tools/contract/refusals'
import { startServer } from '../../tools/servers/server'
import { handshake, post } from '../../tools/clients/signedRequests'

const KEY = 'open sesame, please'
const NAMES = [
  '0001-messages',
  '0002-quota-usage',
  '0003-permissions',
  '0004-payments',
  '0005-devices',
  '0006-advertisements',
  '0007-schema-lease',
]
/** Tables that the migrations after the first have created. */
const TABLES_SINCE = [
  'quota_usage',
  'permissions',
  'payment_outpoints',
  'payments',
  'devices',
  'advertisements',
]

interface Seen {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

const migrate = async (host: string, body: unknown): Promise<Seen> => {
  const response = await fetch(`${host}/migrate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}

describe.each(ENGINES)('on %s', (engine) => {
  test('with MIGRATE_ON_START=false, the operator starts the migration', async () => {
    const server = await startServer({
      engine,
      env: { MIGRATE_ON_START: 'false', MIGRATE_KEY: KEY, ROUTING_PREFIX: '/api' },
    })
    const ready = async (): Promise<Seen> => {
      const response = await fetch(`${server.host}/ready`)
      return {
        status: response.status,
        headers: response.headers,
        body: (await response.json()) as Record<string, unknown>,
      }
    }
    expectError(await ready(), [503, 'ERR_SCHEMA_OUTDATED'])
    const alice = await handshake(server.origin)
    const send = async (): Promise<number> =>
      (
        await post(alice, '/api/sendMessage', {
          message: {
            recipient: alice.identityKey,
            messageBox: 'inbox',
            messageId: 'id',
            body: 'hello',
          },
        })
      ).status
    expect(await send()).toBe(503)

    const answer = await migrate(server.host, { migratekey: KEY })
    expect([answer.status, answer.body]).toEqual([200, { status: 'success', result: [1, NAMES] }])
    expectCors(answer.headers)

    expect((await ready()).body).toEqual({ status: 'ready' })
    expect(await send()).toBe(200)
    expect((await migrate(server.host, { migratekey: KEY })).body).toEqual({
      status: 'success',
      result: [expect.any(Number), []],
    })
  })

  test('a waiting server starts once the command has migrated and counted', async () => {
    const first = await startServer({ engine, env: { INBOX_QUOTA_MESSAGES: '7' } })
    const alice = await handshake(first.origin)
    const send = async (origin: string, messageId: string): Promise<number> => {
      return (
        await post({ ...alice, origin }, '/sendMessage', {
          message: { recipient: alice.identityKey, messageBox: 'inbox', messageId, body: 'hello' },
        })
      ).status
    }
    for (let i = 0; i < 5; i++) await send(first.origin, `old ${i}`)
    const { knex } = first.server.context
    for (const table of TABLES_SINCE) await knex.schema.dropTable(table)
    await knex('knex_migrations').whereNot({ name: '0001-messages' }).delete()
    await first.restart({ MIGRATE_ON_START: 'false' })
    expect(await send(first.origin, 'too early')).toBe(503)

    const { db, mailbox } = first.server.context.config
    const command = createKnex(db)
    await runMigrations(command, db)
    await settleUsage(command, db, mailbox.quotas)
    await command.destroy()

    expect((await fetch(`${first.origin}/ready`)).status).toBe(200)
    expect(
      await Promise.all([0, 1, 2, 3].map(async (i) => await send(first.origin, `new ${i}`))),
    ).toEqual(expect.arrayContaining([200, 200, 429, 429]))
    expect(
      Number(
        (await first.server.context.knex('quota_usage').where({ subject: 'inbox' }).first())
          .messages,
      ),
    ).toBe(7)
  })

  test('an error is logged and not sent to the client', async () => {
    const lines: string[] = []
    const logger = pino(
      {},
      {
        write: (line) => {
          lines.push(line)
        },
      },
    )
    const server = await startServer({
      engine,
      env: { MIGRATE_ON_START: 'false', MIGRATE_KEY: KEY },
      overrides: { logger },
    })
    await server.server.context.knex.schema.createTable('messages', (table) => {
      table.integer('other')
    })

    const answer = await migrate(server.host, { migratekey: KEY })

    expectError(answer, [500, 'ERR_MIGRATION_FAILED'])
    expect(JSON.stringify(answer.body)).not.toContain('another program')
    expect(lines.join('')).toContain('another program')
    expect(lines.join('')).not.toContain(KEY)
  })
})

describe('POST /migrate', () => {
  test.each<[string, unknown]>([
    ['another key', { migratekey: 'open sesame, pleasf' }],
    ['the beginning of the key', { migratekey: KEY.slice(0, -1) }],
    ['more than the key', { migratekey: `${KEY} ` }],
    ['no key', {}],
    ['an empty key', { migratekey: '' }],
    ['a key that is not a string', { migratekey: [KEY] }],
    ['null', 'null'],
  ])('rejects %s', async (_name, body) => {
    const { host } = await startServer({ env: { MIGRATE_KEY: KEY } })
    expectError(await migrate(host, body), [401, 'ERR_UNAUTHORIZED'])
  })

  test('rejects invalid JSON and large bodies', async () => {
    const { host } = await startServer({ env: { MIGRATE_KEY: KEY } })
    expectError(await migrate(host, '{'), [400, 'ERR_INVALID_JSON'])
    expectError(
      await migrate(host, JSON.stringify({ migratekey: 'x'.repeat(100_000) })),
      [413, 'ERR_BODY_TOO_LARGE'],
      { limit: 4096 },
    )
  })

  test('allows ten attempts a minute, even with the right key', async () => {
    const { host } = await startServer({ env: { MIGRATE_KEY: KEY } })
    const statuses: number[] = []
    for (let i = 0; i < 10; i++)
      statuses.push((await migrate(host, { migratekey: `guess ${i}` })).status)

    expect(statuses).toEqual(statuses.map(() => 401))
    const answer = await migrate(host, { migratekey: KEY })
    expectError(answer, [429, 'ERR_RATE_LIMITED'], { limit: 10, retryAfterMs: expect.any(Number) })
  })

  test('does not exist without MIGRATE_KEY', async () => {
    const { host } = await startServer()
    expectError(await migrate(host, { migratekey: '' }), [404, 'ERR_NOT_FOUND'])
  })
})
