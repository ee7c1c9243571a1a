import { describe, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { ENGINES } from '../../tools/databases/databases'
import { until } from '../../tools/clients/live'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post } from '../../tools/clients/signedRequests'

const DAY = 24 * 60 * 60 * 1000

/** Stores messages with the given age in days. */
async function age({ server }: TestServer, days: number): Promise<void> {
  await server.context.knex('messages').update({ created_at: Date.now() - days * DAY })
}

async function fill(server: TestServer, count: number): Promise<void> {
  const { knex } = server.server.context
  const recipient = `02${randomBytes(32).toString('hex')}`
  const rows = Array.from({ length: count }, (_value, index) => ({
    recipient,
    message_box: 'inbox',
    message_id: `id ${index}`,
    sender: recipient,
    body: 'x',
    body_bytes: 1,
    created_at: 1,
    updated_at: 1,
  }))
  await knex.batchInsert('messages', rows, 100)
}

const stored = async ({ server }: TestServer): Promise<number> =>
  Number((await server.context.knex('messages').count({ count: '*' }).first())!.count)

describe.each(ENGINES)('retention on %s', (engine) => {
  test('only expired messages are removed, in batches, also from quota counts', async () => {
    const server = await startServer({ engine, env: { MESSAGE_RETENTION_DAYS: '30' } })
    const alice = await handshake(server.origin)
    const send = async (messageId: string): Promise<void> => {
      await post(alice, '/sendMessage', {
        message: { recipient: alice.identityKey, messageBox: 'inbox', messageId, body: 'hello' },
      })
    }
    await send('old')
    await fill(server, 1000)
    await age(server, 31)
    await send('young')
    await server.server.context
      .knex('messages')
      .where({ message_id: 'young' })
      .update({ created_at: Date.now() - 29 * DAY })

    await server.restart()

    await until(async () => (await stored(server)) === 1)
    expect(
      (await post(alice, '/listMessages', { messageBox: 'inbox' })).body.messages,
    ).toMatchObject([{ messageId: 'young' }])
    expect(
      (
        await server.server.context.knex('quota_usage').where({ identity_key: alice.identityKey })
      ).map(({ messages }) => Number(messages)),
    ).toEqual([1, 1])
  })

  test('without a retention limit, messages of any age stay', async () => {
    const server = await startServer({ engine })
    await fill(server, 3)
    await age(server, 10_000)

    await server.restart()
    await server.server.context.housekeeping.stop()

    expect(await stored(server)).toBe(3)
  })

  test('expired messages are also removed without quotas, and no zero counts remain', async () => {
    const off = {
      INBOX_QUOTA_MESSAGES: 'off',
      INBOX_QUOTA_BYTES: 'off',
      SENDER_QUOTA_MESSAGES: 'off',
      SENDER_QUOTA_BYTES: 'off',
    } as const
    const server = await startServer({ engine, env: { ...off, MESSAGE_RETENTION_DAYS: '0.5' } })
    await fill(server, 450)
    await server.restart()
    await until(async () => (await stored(server)) === 0)

    await server.restart({ INBOX_QUOTA_MESSAGES: '10', MESSAGE_RETENTION_DAYS: 'off' })
    const alice = await handshake(server.origin)
    await post(alice, '/sendMessage', {
      message: {
        recipient: alice.identityKey,
        messageBox: 'inbox',
        messageId: 'id',
        body: 'hello',
      },
    })
    await post(alice, '/acknowledgeMessage', { messageIds: ['id'] })
    await server.restart()
    await server.server.context.housekeeping.stop()
    expect(await server.server.context.knex('quota_usage')).toEqual([])
  })
})
