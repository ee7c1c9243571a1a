/** Rate limits count work: a large request costs as much as many small ones. */
import { describe, expect, test } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import type { FlatEnv } from '../../src/config'
import { pointsOf } from '../../src/limits/meter'
import { ENGINES } from '../../tools/databases/databases'
import { lightSocket, startLive, until } from '../../tools/clients/live'
import { expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import {
  handshake,
  post,
  sign,
  submit,
  type Answer,
  type HandSession,
  type PreparedRequest,
} from '../../tools/clients/signedRequests'

const JSON_TYPE = { 'content-type': 'application/json' }
const POINT = 64 * 1024

/** Signs and sends a request with the address in X-Forwarded-For. */
async function postFrom(
  address: string,
  session: HandSession,
  target: string,
  body: object,
): Promise<Answer> {
  return await submit(session, await signFrom(address, session, target, body))
}

async function signFrom(
  address: string,
  session: HandSession,
  target: string,
  body: object,
): Promise<PreparedRequest> {
  const prepared = await sign(session, { target, headers: JSON_TYPE, body: JSON.stringify(body) })
  prepared.init.headers['x-forwarded-for'] = address
  return prepared
}

const messageTo = (recipient: string | string[], body: string): object => {
  return {
    message: {
      recipient,
      messageBox: 'inbox',
      messageId: Array.isArray(recipient) ? recipient.map(() => randomUUID()) : randomUUID(),
      body,
    },
  }
}

/** The points an address has left in its minute, found by requests until one is rejected. */
async function left({ origin }: TestServer, address: string): Promise<number> {
  for (let asked = 0; ; asked++) {
    const { status } = await fetch(`${origin}/info`, { headers: { 'x-forwarded-for': address } })
    if (status === 429) return asked
  }
}

test.each([
  [{ bytes: POINT - 1 }, 0],
  [{ bytes: POINT }, 1],
  [{ bytes: 10 * POINT + 5 }, 10],
  [{ rows: 3 }, 0],
  [{ rows: 99 }, 24],
  [{ removals: 49 }, 0],
  [{ removals: 1000 }, 20],
  [{ deliveries: 7 }, 0],
  [{ deliveries: 50 }, 6],
  [{ bytes: POINT, rows: 4 }, 2],
])('%j costs %i points in addition to its request', (work, points) => {
  expect(pointsOf(work)).toBe(points)
})

describe('an address pays for', () => {
  const RATE = 100
  const limited: FlatEnv = { RATE_LIMIT_ADDRESS: String(RATE), TRUST_PROXY: '1' }

  test('the bytes that it sends', async () => {
    const server = await startServer({ env: limited })
    const alice = await handshake(server.origin)
    expect(
      (
        await postFrom(
          '192.0.2.1',
          alice,
          '/sendMessage',
          messageTo(alice.identityKey, 'x'.repeat(20 * POINT)),
        )
      ).status,
    ).toBe(200)

    expect(await left(server, '192.0.2.1')).toBe(RATE - 1 - 20)
    expect(await left(server, '192.0.2.2')).toBe(RATE)
  })

  test('each copy of a message, in rows and in bytes', async () => {
    const server = await startServer({ env: limited })
    const alice = await handshake(server.origin)
    const recipients = await Promise.all(
      Array.from({ length: 9 }, async () => (await handshake(server.origin)).identityKey),
    )
    expect(
      (await postFrom('192.0.2.1', alice, '/sendMessage', messageTo(recipients, 'x'.repeat(POINT))))
        .status,
    ).toBe(200)

    // 1 for the request, 1 for its bytes, 2 for eight more rows, 8 for their bytes.
    expect(await left(server, '192.0.2.1')).toBe(RATE - 12)
  })

  test('the messages that it lists', async () => {
    const server = await startServer({ env: limited })
    const [alice, bob] = [await handshake(server.origin), await handshake(server.origin)]
    for (let sent = 0; sent < 4; sent++)
      await postFrom(
        '192.0.2.9',
        bob,
        '/sendMessage',
        messageTo(alice.identityKey, 'x'.repeat(10 * POINT)),
      )
    expect(
      (await postFrom('192.0.2.1', alice, '/listMessages', { messageBox: 'inbox' })).body.messages,
    ).toHaveLength(4)

    expect(await left(server, '192.0.2.1')).toBe(RATE - 1 - 40)
  })

  test('the messages that it acknowledges', async () => {
    const server = await startServer({ env: limited })
    const alice = await handshake(server.origin)
    await postFrom('192.0.2.9', alice, '/sendMessage', messageTo(alice.identityKey, 'x'))
    await postFrom('192.0.2.1', alice, '/acknowledgeMessage', {
      messageIds: Array.from({ length: 500 }, (_value, index) => `id ${index}`),
    })

    expect(await left(server, '192.0.2.1')).toBe(RATE - 1 - 10)
  })

  test('the sockets that its messages are delivered to', async () => {
    const server = await startLive({ env: { RATE_LIMIT_ADDRESS: '300', TRUST_PROXY: '1' } })
    const key = Buffer.alloc(32, 7)
    const listeners = await Promise.all(
      Array.from(
        { length: 40 },
        async () => await lightSocket(server.origin, { key }).authenticate(),
      ),
    )
    for (const socket of listeners) socket.emit('joinRoom', `${socket.identityKey}-inbox`)
    await Promise.all(listeners.map(async (socket) => await socket.next('joinedRoom')))
    const alice = await handshake(server.origin)
    await postFrom('192.0.2.1', alice, '/sendMessage', messageTo(listeners[0]!.identityKey, 'x'))
    await Promise.all(
      listeners.map(async (socket) => await socket.next(`sendMessage-${socket.identityKey}-inbox`)),
    )

    expect(await left(server, '192.0.2.1')).toBe(300 - 1 - 5)
  })

  test('a request over the points left is rejected; a smaller one is not', async () => {
    const server = await startServer({ env: limited })
    const alice = await handshake(server.origin)
    const large = messageTo(alice.identityKey, 'x'.repeat(60 * POINT))
    expect((await postFrom('192.0.2.1', alice, '/sendMessage', large)).status).toBe(200)
    expect((await postFrom('192.0.2.1', alice, '/sendMessage', large)).body).toMatchObject({
      code: 'ERR_RATE_LIMITED',
      retryAfterMs: expect.any(Number),
    })
    expect(
      (await postFrom('192.0.2.1', alice, '/sendMessage', messageTo(alice.identityKey, 'small')))
        .status,
    ).toBe(200)
  })
})

test('an identity pays for its work from any address', async () => {
  const server = await startServer({ env: { RATE_LIMIT_IDENTITY: '50', TRUST_PROXY: '1' } })
  const alice = await handshake(server.origin)
  await postFrom(
    '192.0.2.1',
    alice,
    '/sendMessage',
    messageTo(alice.identityKey, 'x'.repeat(20 * POINT)),
  )
  await postFrom('192.0.2.2', alice, '/listMessages', { messageBox: 'inbox' })

  expectRefusal(
    await postFrom(
      '192.0.2.3',
      alice,
      '/sendMessage',
      messageTo(alice.identityKey, 'x'.repeat(20 * POINT)),
    ),
    429,
    'ERR_RATE_LIMITED',
    { limit: 50, retryAfterMs: expect.any(Number) },
  )
})

test('only an address far over its rate is disconnected without an answer', async () => {
  const server = await startServer({ env: { RATE_LIMIT_ADDRESS: '10', TRUST_PROXY: '127.0.0.99' } })
  const refusals = async (count: number): Promise<number[]> =>
    await Promise.all(
      Array.from(
        { length: count },
        async () =>
          await fetch(`${server.origin}/info`).then(
            ({ status }) => status,
            () => 0,
          ),
      ),
    )
  for (let batches = 0; batches < 5; batches++) await refusals(200)
  await until(async () => (await refusals(50)).includes(0))
  expect(await refusals(20)).toEqual(Array.from({ length: 20 }, () => 0))
})

describe.each(ENGINES)('large sends on %s', (engine) => {
  test('wait only for other large sends of the same address', async () => {
    const server = await startServer({ engine, env: { TRUST_PROXY: '1' } })
    const [mallory, alice] = [await handshake(server.origin), await handshake(server.origin)]
    const recipients = await Promise.all(
      Array.from({ length: 10 }, async () => (await handshake(server.origin)).identityKey),
    )
    const prepare = async (
      address: string,
      sender: HandSession,
      count: number,
      make: () => object,
    ): Promise<PreparedRequest[]> => {
      return await Promise.all(
        Array.from(
          { length: count },
          async () => await signFrom(address, sender, '/sendMessage', make()),
        ),
      )
    }
    const large = (): object => messageTo(recipients, 'x'.repeat(3_000_000))
    // Signed beforehand, so that they arrive together.
    const many = await prepare('192.0.2.1', mallory, 10, large)
    const few = [
      ...(await prepare('192.0.2.2', alice, 1, large)),
      ...(await prepare('192.0.2.2', alice, 20, () => messageTo(alice.identityKey, 'x'))),
    ]

    const greedy = many.map(async (request) => await submit(mallory, request))
    const honest = few.map(async (request) => await submit(alice, request))

    expect((await Promise.all(honest)).map(({ status }) => status)).toEqual(
      Array.from({ length: 21 }, () => 200),
    )
    const statuses = (await Promise.all(greedy)).map(({ status, body }) =>
      status === 200 ? 'stored' : body.code,
    )
    expect(statuses.filter((status) => status === 'stored').length).toBeGreaterThanOrEqual(3)
    expect(new Set(statuses)).toEqual(new Set(['stored', 'ERR_SERVER_BUSY']))
  })

  test('over a quota are rejected before any write; duplicates write nothing', async () => {
    const server = await startServer({ engine, env: { SENDER_QUOTA_BYTES: '40mb' } })
    const alice = await handshake(server.origin)
    const recipients = await Promise.all(
      Array.from({ length: 10 }, async () => (await handshake(server.origin)).identityKey),
    )
    const first = messageTo(recipients, 'x'.repeat(3_000_000))
    expect((await post(alice, '/sendMessage', first)).status).toBe(200)
    const file = server.database.config.connection.filename as string | undefined
    const written = (): number =>
      file === undefined ? 0 : statSync(file).size + statSync(`${file}-wal`).size
    const before = written()

    expectRefusal(
      await post(alice, '/sendMessage', messageTo(recipients, 'x'.repeat(3_000_000))),
      429,
      'ERR_SENDER_QUOTA_EXCEEDED',
      { limit: 40 * 1024 * 1024, unit: 'bytes' },
    )
    const again = await post(alice, '/sendMessage', first)

    expect(
      (again.body.results as Array<{ duplicate?: boolean }>).every(({ duplicate }) => duplicate),
    ).toBe(true)
    expect(written() - before).toBeLessThan(1_000_000)
    expect(
      Number((await server.server.context.knex('messages').count({ count: '*' }).first())!.count),
    ).toBe(10)
  })
})

test('an identity can change its rules at the quota, but not add one', async () => {
  const { origin } = await startServer({ env: { RULE_QUOTA: '3' } })
  const [alice, bob] = [await handshake(origin), await handshake(origin)]
  const set = async (owner: HandSession, messageBox: string, recipientFee = 1): Promise<Answer> =>
    await post(owner, '/permissions/set', { messageBox, recipientFee })
  for (const box of ['a', 'b', 'c']) expect((await set(alice, box)).status).toBe(200)

  expectRefusal(await set(alice, 'd'), 429, 'ERR_RULE_QUOTA_EXCEEDED', { limit: 3 })
  expect((await set(alice, 'b', 7)).status).toBe(200)
  expect((await set(bob, 'd')).status).toBe(200)
})
