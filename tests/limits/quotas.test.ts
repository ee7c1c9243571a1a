import { beforeAll, describe, expect, test } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import type { FlatEnv } from '../../src/config'
import { newClient } from '../../tools/clients/clients'
import { ENGINES, type Engine } from '../../tools/databases/databases'
import { LightSocket } from '../../tools/clients/lightSocket'
import { expectRefusal } from '../../tools/contract/refusals'
import { joinServer, onEnd, startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, type Answer, type HandSession } from '../../tools/clients/signedRequests'

const OFF = {
  INBOX_QUOTA_MESSAGES: 'off',
  INBOX_QUOTA_BYTES: 'off',
  SENDER_QUOTA_MESSAGES: 'off',
  SENDER_QUOTA_BYTES: 'off',
} as const satisfies FlatEnv

const send = async (
  sender: HandSession,
  recipient: string | string[],
  body: string | object = 'hello',
  messageId: string | string[] = Array.isArray(recipient)
    ? recipient.map(() => randomUUID())
    : randomUUID(),
): Promise<Answer> => {
  return await post(sender, '/sendMessage', {
    message: { recipient, messageBox: 'inbox', messageId, body },
  })
}
const list = async (owner: HandSession): Promise<string[]> => {
  return (
    (await post(owner, '/listMessages', { messageBox: 'inbox' })).body.messages as Array<{
      messageId: string
    }>
  ).map(({ messageId }) => messageId)
}
const acknowledge = async (owner: HandSession, messageIds: string[]): Promise<Answer> =>
  await post(owner, '/acknowledgeMessage', { messageIds })

interface Counts {
  subject: string
  identity_key: string
  messages: number
  bytes: number
}

/** The counts and the stored messages. They have to agree, except for counts of zero. */
async function counts({ server }: TestServer): Promise<{ counted: Counts[]; stored: Counts[] }> {
  const { knex } = server.context
  const normalize = (rows: Counts[]): Counts[] =>
    rows
      .map((row) => ({ ...row, messages: Number(row.messages), bytes: Number(row.bytes) }))
      .filter(({ messages, bytes }) => messages !== 0 || bytes !== 0)
      .sort((a, b) =>
        `${a.subject} ${a.identity_key}` < `${b.subject} ${b.identity_key}` ? -1 : 1,
      )
  const stored: Counts[] = []
  for (const [subject, column] of [
    ['inbox', 'recipient'],
    ['sender', 'sender'],
  ] as const) {
    stored.push(
      ...((await knex('messages')
        .select(knex.raw('? as subject', [subject]), { identity_key: column })
        .count({ messages: '*' })
        .sum({ bytes: 'body_bytes' })
        .groupBy(column)) as unknown as Counts[]),
    )
  }
  return {
    counted: normalize(
      await knex('quota_usage').select('subject', 'identity_key', 'messages', 'bytes'),
    ),
    stored: normalize(stored),
  }
}

async function expectExactCounts(server: TestServer): Promise<void> {
  const { counted, stored } = await counts(server)
  expect(counted).toEqual(stored)
}

const people = async ({ origin }: TestServer, count: number): Promise<HandSession[]> =>
  await Promise.all(Array.from({ length: count }, async () => await handshake(origin)))

describe.each(ENGINES)('quotas on %s', (engine) => {
  describe('a quota of 20 messages in an inbox', () => {
    let server: TestServer

    beforeAll(async () => {
      server = await startServer({ engine, env: { INBOX_QUOTA_MESSAGES: '20' } })
    })

    test('of 50 sends, exactly 20 are stored; other inboxes are unaffected', async () => {
      const [owner, other, ...senders] = (await people(server, 52)) as [
        HandSession,
        HandSession,
        ...HandSession[],
      ]

      const [answers, beside] = await Promise.all([
        Promise.all(senders.map(async (sender) => await send(sender, owner.identityKey))),
        Promise.all(
          senders.slice(0, 20).map(async (sender) => await send(sender, other.identityKey)),
        ),
      ])

      expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
      for (const answer of answers.filter(({ status }) => status !== 200)) {
        expectRefusal(answer, 429, 'ERR_INBOX_QUOTA_EXCEEDED', {
          limit: 20,
          unit: 'messages',
          recipient: owner.identityKey,
        })
      }
      expect(beside.map(({ status }) => status)).toEqual(beside.map(() => 200))
      expect(await list(owner)).toHaveLength(20)
      await expectExactCounts(server)
    })

    test('an acknowledgement frees room for as many messages', async () => {
      const [owner, sender] = (await people(server, 2)) as [HandSession, HandSession]
      await Promise.all(
        Array.from({ length: 25 }, async () => await send(sender, owner.identityKey)),
      )
      const ids = await list(owner)
      expect(ids).toHaveLength(20)

      await Promise.all(
        ids.slice(0, 5).map(async (id) => await acknowledge(owner, [id, 'never sent'])),
      )
      const answers = await Promise.all(
        Array.from({ length: 10 }, async () => await send(sender, owner.identityKey)),
      )

      expect(answers.filter(({ status }) => status === 200)).toHaveLength(5)
      await expectExactCounts(server)
    })

    test('a message sent again counts once, even if the inbox is full', async () => {
      const [owner, sender] = (await people(server, 2)) as [HandSession, HandSession]
      const ids = Array.from({ length: 20 }, () => randomUUID())
      for (const id of ids) await send(sender, owner.identityKey, 'hello', id)

      const again = await Promise.all(
        ids.map(async (id) => await send(sender, owner.identityKey, 'hello again', id)),
      )

      expect(
        again.map(({ body }) => (body.results as Array<{ duplicate?: boolean }>)[0]!.duplicate),
      ).toEqual(ids.map(() => true))
      expectRefusal(await send(sender, owner.identityKey), 429, 'ERR_INBOX_QUOTA_EXCEEDED', {
        limit: 20,
        unit: 'messages',
        recipient: owner.identityKey,
      })
      await expectExactCounts(server)
    })

    test('if one of several recipients has no room, none gets the message', async () => {
      const [full, empty, sender] = (await people(server, 3)) as [
        HandSession,
        HandSession,
        HandSession,
      ]
      for (let i = 0; i < 20; i++) await send(sender, full.identityKey)

      expectRefusal(
        await send(sender, [empty.identityKey, full.identityKey]),
        429,
        'ERR_INBOX_QUOTA_EXCEEDED',
        { limit: 20, unit: 'messages', recipient: full.identityKey },
      )

      expect(await list(empty)).toEqual([])
      await expectExactCounts(server)
    })

    test('a new sender cannot send to more recipients than its quota', async () => {
      const strict = await startServer({ engine, env: { SENDER_QUOTA_MESSAGES: '2' } })
      const [sender, ...recipients] = (await people(strict, 4)) as [HandSession, ...HandSession[]]

      expectRefusal(
        await send(
          sender,
          recipients.map(({ identityKey }) => identityKey),
        ),
        429,
        'ERR_SENDER_QUOTA_EXCEEDED',
        { limit: 2, unit: 'messages' },
      )
      expect(
        (
          await send(
            sender,
            recipients.slice(1).map(({ identityKey }) => identityKey),
          )
        ).status,
      ).toBe(200)
      await expectExactCounts(strict)
    })
  })

  test('the quota of a sender holds for 50 sends to 50 inboxes', async () => {
    const server = await startServer({ engine, env: { SENDER_QUOTA_MESSAGES: '20' } })
    const [sender, other, ...owners] = (await people(server, 52)) as [
      HandSession,
      HandSession,
      ...HandSession[],
    ]

    const answers = await Promise.all(
      owners.map(async (owner) => await send(sender, owner.identityKey)),
    )

    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
    for (const answer of answers.filter(({ status }) => status !== 200))
      expectRefusal(answer, 429, 'ERR_SENDER_QUOTA_EXCEEDED', { limit: 20, unit: 'messages' })
    expect((await send(other, owners[0]!.identityKey)).status).toBe(200)
    await expectExactCounts(server)
  })

  test('a quota of bytes holds for any number of messages', async () => {
    const server = await startServer({
      engine,
      env: { INBOX_QUOTA_BYTES: '10kb', SENDER_QUOTA_BYTES: '15kb' },
    })
    const [owner, other, sender] = (await people(server, 3)) as [
      HandSession,
      HandSession,
      HandSession,
    ]

    const answers = await Promise.all(
      Array.from(
        { length: 8 },
        async () => await send(sender, owner.identityKey, 'x'.repeat(2048)),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5)
    expectRefusal(await send(sender, owner.identityKey, 'ä'), 429, 'ERR_INBOX_QUOTA_EXCEEDED', {
      limit: 10_240,
      unit: 'bytes',
      recipient: owner.identityKey,
    })
    expectRefusal(
      await send(sender, other.identityKey, 'x'.repeat(6000)),
      429,
      'ERR_SENDER_QUOTA_EXCEEDED',
      { limit: 15 * 1024, unit: 'bytes' },
    )
    expect((await send(sender, other.identityKey, 'ä'.repeat(2560))).status).toBe(200)
    await expectExactCounts(server)
  })

  test('a send that fills a transaction by itself is counted', async () => {
    const server = await startServer({ engine, env: { INBOX_QUOTA_BYTES: '13mb' } })
    const [owner, sender] = (await people(server, 2)) as [HandSession, HandSession]

    const statuses = await Promise.all(
      [6, 6, 6].map(
        async (size) =>
          (await send(sender, owner.identityKey, 'x'.repeat(size * 1024 * 1024))).status,
      ),
    )

    expect(statuses.sort()).toEqual([200, 200, 429])
    await expectExactCounts(server)
  })

  test('quotas hold over the socket', async () => {
    const server = await startServer({
      engine,
      env: { ENABLE_WEBSOCKETS: 'true', INBOX_QUOTA_MESSAGES: '3' },
    })
    const socket = await new LightSocket(server.origin).authenticate()
    onEnd(() => {
      socket.close()
    })
    const [owner] = (await people(server, 1)) as [HandSession]
    const roomId = `${owner.identityKey}-inbox`

    for (const messageId of ['1', '2', '3', '4'])
      socket.emit('sendMessage', {
        roomId,
        message: { messageId, recipient: owner.identityKey, body: 'hello' },
      })

    for (const messageId of ['1', '2', '3'])
      expect(await socket.next(`sendMessageAck-${roomId}`)).toEqual({
        status: 'success',
        messageId,
      })
    expect(await socket.next(`sendMessageAck-${roomId}`)).toMatchObject({
      status: 'error',
      code: 'ERR_INBOX_QUOTA_EXCEEDED',
      limit: 3,
      messageId: '4',
    })
  })

  test('the released client shows the error', async () => {
    const { origin } = await startServer({ engine, env: { INBOX_QUOTA_MESSAGES: '1' } })
    const [alice, bob] = [await newClient(origin), await newClient(origin)]
    await alice.client.sendMessage(
      { recipient: bob.identityKey, messageBox: 'inbox', body: 'one' },
      origin,
    )

    await expect(
      alice.client.sendMessage(
        { recipient: bob.identityKey, messageBox: 'inbox', body: 'two' },
        origin,
      ),
    ).rejects.toThrow(/429/)
  })

  test('random sends and acknowledgements on two nodes: counts stay exact', async () => {
    const LIMIT = 6
    const server = await startServer({
      engine,
      env: { INBOX_QUOTA_MESSAGES: String(LIMIT), SENDER_QUOTA_MESSAGES: '9' },
    })
    const nodes = [server, await joinServer(server)]
    const identities = await people(server, 4)
    const action = fc.oneof(
      fc.record({
        kind: fc.constant('send'),
        node: fc.nat(1),
        from: fc.nat(3),
        to: fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 3 }),
        id: fc.nat(40),
      }),
      fc.record({
        kind: fc.constant('acknowledge'),
        node: fc.nat(1),
        from: fc.nat(3),
        to: fc.constant([] as number[]),
        id: fc.nat(40),
      }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 60 }), async (actions) => {
        const answers = await Promise.all(
          actions.map(async ({ kind, node, from, to, id }) => {
            const caller = { ...identities[from]!, origin: nodes[node]!.origin }
            if (kind === 'acknowledge') return await acknowledge(caller, [`${id}`, `${id + 1}`])
            return await send(
              caller,
              to.map((index) => identities[index]!.identityKey),
              `body ${id}`.repeat(id),
              to.map(() => `${id}`),
            )
          }),
        )
        expect(
          [...new Set(answers.map(({ status }) => status))].filter(
            (status) => ![200, 400, 429].includes(status),
          ),
        ).toEqual([])
        for (const owner of identities)
          expect((await list(owner)).length).toBeLessThanOrEqual(LIMIT)
        await expectExactCounts(server)
      }),
      { numRuns: engine === 'sqlite' ? 4 : 6 },
    )
  })

  test('counts are made when quotas are turned on, and removed when turned off', async () => {
    const server = await startServer({ engine, env: OFF })
    const [owner, sender] = (await people(server, 2)) as [HandSession, HandSession]
    for (let i = 0; i < 3; i++) await send(sender, owner.identityKey, 'x'.repeat(10))
    expect((await counts(server)).counted).toEqual([])

    await server.restart({ INBOX_QUOTA_MESSAGES: '4' })
    await expectExactCounts(server)
    expect((await send(sender, owner.identityKey)).status).toBe(200)
    expect((await send(sender, owner.identityKey)).status).toBe(429)

    await server.restart(OFF)
    expect((await counts(server)).counted).toEqual([])
    expect((await send(sender, owner.identityKey)).status).toBe(200)
  })

  test('a limit below the stored count removes no messages and admits none', async () => {
    const server = await startServer({ engine })
    const [owner, sender] = (await people(server, 2)) as [HandSession, HandSession]
    for (let i = 0; i < 3; i++) await send(sender, owner.identityKey)

    await server.restart({ INBOX_QUOTA_MESSAGES: '1' })
    expect((await send(sender, owner.identityKey)).status).toBe(429)
    const ids = await list(owner)
    await acknowledge(owner, ids)
    expect((await send(sender, owner.identityKey)).status).toBe(200)
    await expectExactCounts(server)
  })
})

test.each(ENGINES)('without quotas, no statement counts messages, on %s', async (engine) => {
  const counted = async (env: FlatEnv): Promise<string[]> => await statementsOf(engine, env)

  expect(await counted(OFF)).toEqual([])
  expect((await counted({})).length).toBeGreaterThan(0)
})

async function statementsOf(engine: Engine, env: FlatEnv): Promise<string[]> {
  const server = await startServer({ engine, env })
  const [owner, sender] = (await people(server, 2)) as [HandSession, HandSession]
  const statements: string[] = []
  server.server.context.knex.on('query', ({ sql }: { sql: string }) => {
    statements.push(sql)
  })
  await send(sender, owner.identityKey, 'hello', 'id')
  await acknowledge(owner, ['id'])
  return statements.filter((sql) => /quota_usage|start transaction/i.test(sql))
}
