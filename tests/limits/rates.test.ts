import { PrivateKey } from '@bsv/sdk'
import { describe, expect, test } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { newClient } from '../../tools/clients/clients'
import { authSocketUser, lightSocket } from '../../tools/clients/live'
import { expectCors, expectRefusal } from '../../tools/contract/refusals'
import { startServer } from '../../tools/servers/server'
import { handshake, post, type HandSession } from '../../tools/clients/signedRequests'

const list = async (session: HandSession): ReturnType<typeof post> =>
  await post(session, '/listMessages', { messageBox: 'inbox' })

/** Checks when the client may retry, by the body and the header of the answer. */
function expectRetry(body: Record<string, unknown>, headers: Headers, limit: number): void {
  const { retryAfterMs } = body as { retryAfterMs: number }
  expect(body).toMatchObject({ status: 'error', code: 'ERR_RATE_LIMITED', limit })
  expect(retryAfterMs).toBeGreaterThan(50_000)
  expect(retryAfterMs).toBeLessThanOrEqual(60_000)
  expect(Number(headers.get('retry-after'))).toBe(Math.ceil(retryAfterMs / 1000))
}

describe('requests from one address', () => {
  test('exactly 20 of 50 pass, whatever their path; any page can read the others', async () => {
    const { origin } = await startServer({ env: { RATE_LIMIT_ADDRESS: '20' } })

    const responses = await Promise.all(
      Array.from(
        { length: 50 },
        async (_value, index) =>
          await fetch(
            `${origin}${['/info', '/nothing', '/listMessages', '/.well-known/auth'][index % 4]!}`,
          ),
      ),
    )

    expect(responses.filter(({ status }) => status !== 429)).toHaveLength(20)
    for (const response of responses.filter(({ status }) => status === 429)) {
      expectRetry((await response.json()) as Record<string, unknown>, response.headers, 20)
      expectCors(response.headers)
    }
    // Orchestrators and load balancers ask often, and need an answer that is right.
    for (const path of ['/health', '/ready'])
      expect((await fetch(`${origin}${path}`)).status).toBe(200)
    expect((await fetch(`${origin}/listMessages`, { method: 'OPTIONS' })).status).toBe(200)
  })

  test('an address that sends too many preflights is told so', async () => {
    const { origin } = await startServer({ env: { RATE_LIMIT_ADDRESS: '1' } })
    const preflight = async (): Promise<Response> =>
      await fetch(`${origin}/listMessages`, { method: 'OPTIONS' })
    for (let sent = 0; sent < 1200; sent++) expect((await preflight()).status).toBe(200)

    const { status, headers } = await preflight()

    expect(status).toBe(429)
    expectCors(headers)
  })

  test('over the limit, the server does not read a large body', async () => {
    const { origin } = await startServer({ env: { RATE_LIMIT_ADDRESS: '1' } })
    await fetch(`${origin}/info`)

    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(64 * 1024))
      },
    })
    const response = await fetch(`${origin}/sendMessage`, {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit)

    expect(response.status).toBe(429)
  })

  test('X-Forwarded-For is the address only behind a trusted proxy', async () => {
    const status = async (origin: string, address: string): Promise<number> =>
      (await fetch(`${origin}/info`, { headers: { 'x-forwarded-for': address } })).status
    const trusting = await startServer({ env: { RATE_LIMIT_ADDRESS: '2', TRUST_PROXY: '1' } })
    const statuses = async (origin: string): Promise<number[]> => {
      const answers: number[] = []
      for (const address of [
        '203.0.113.1',
        '203.0.113.1',
        '203.0.113.1',
        '203.0.113.2',
        'made up, 203.0.113.2',
        '203.0.113.2',
      ])
        answers.push(await status(origin, address))
      return answers
    }

    expect(await statuses(trusting.origin)).toEqual([200, 200, 429, 200, 200, 429])
    expect(
      await statuses((await startServer({ env: { RATE_LIMIT_ADDRESS: '2' } })).origin),
    ).toEqual([200, 200, 429, 429, 429, 429])
  })

  test('sockets count too: polling and WebSocket get the same error', async () => {
    const { origin } = await startServer({
      env: { RATE_LIMIT_ADDRESS: '1', ENABLE_WEBSOCKETS: 'true' },
    })
    await fetch(`${origin}/info`)

    const polling = await fetch(`${origin}/socket.io/?EIO=4&transport=polling`)
    expect(polling.status).toBe(429)
    expectRetry((await polling.json()) as Record<string, unknown>, polling.headers, 1)
    expectCors(polling.headers)
    const socket = lightSocket(origin)
    const reason = await new Promise((resolve) =>
      socket.raw.once('connect_error', (error) => {
        resolve(
          String((error as unknown as { description?: { message?: string } }).description?.message),
        )
      }),
    )
    expect(reason).toContain('429')
  })

  test('the frames of an unauthenticated socket count too', async () => {
    const { origin } = await startServer({
      env: { RATE_LIMIT_ADDRESS: '4', ENABLE_WEBSOCKETS: 'true' },
    })
    const socket = lightSocket(origin)
    const reason = new Promise((resolve) =>
      socket.raw.once('authenticationFailed', ({ reason }) => {
        resolve(reason)
      }),
    )

    for (let i = 0; i < 4; i++)
      socket.raw.emit('authMessage', {
        version: '0.1',
        messageType: 'initialRequest',
        identityKey: socket.identityKey,
        initialNonce: randomUUID(),
      })

    expect(await reason).toContain('More than 4 requests in a minute')
  })
})

describe('requests of one identity', () => {
  test('exactly 20 of 50 pass, errors are signed, other identities are unaffected', async () => {
    const { origin } = await startServer({ env: { RATE_LIMIT_IDENTITY: '20' } })
    const key = PrivateKey.fromRandom()
    const [alice, bob] = [await handshake(origin, key), await handshake(origin)]

    const answers = await Promise.all(Array.from({ length: 50 }, async () => await list(alice)))

    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expectRefusal(answer, 429, 'ERR_RATE_LIMITED', {
        limit: 20,
        retryAfterMs: expect.any(Number),
      })
      expectRetry(answer.body, answer.headers, 20)
    }
    expect((await list(bob)).status).toBe(200)
    // Another session of the same identity shares its limit.
    expect((await list(await handshake(origin, key))).status).toBe(429)
  })

  test('the socket and HTTP share one limit; each event has its own error', async () => {
    const { origin } = await startServer({
      env: { RATE_LIMIT_IDENTITY: '3', ENABLE_WEBSOCKETS: 'true' },
    })
    const { socket, identityKey, next } = authSocketUser(origin)
    const roomId = `${identityKey}-inbox`
    const acks: unknown[] = []
    socket.on(`sendMessageAck-${roomId}`, (data) => acks.push(data))
    socket.emit('authenticated', { identityKey })
    await next('authenticationSuccess')

    socket.emit('joinRoom', roomId)
    await next('joinedRoom')
    const failed = next('messageFailed')
    for (const messageId of ['first', 'second'])
      socket.emit('sendMessage', {
        roomId,
        message: { messageId, recipient: identityKey, body: 'hello' },
      })

    expect(await failed).toEqual({
      reason: expect.stringContaining('More than 3 requests in a minute'),
    })
    socket.emit('joinRoom', `${identityKey}-other`)
    expect(await next('joinFailed')).toEqual({
      reason: expect.stringContaining('More than 3 requests in a minute'),
    })
    socket.emit('leaveRoom', roomId)
    expect(await next('leaveFailed')).toEqual({
      reason: expect.stringContaining('More than 3 requests in a minute'),
    })
    socket.emit('authenticated', { identityKey })
    expect(await next('authenticationFailed')).toEqual({
      reason: expect.stringContaining('More than 3 requests in a minute'),
    })
    expect(acks).toEqual([
      { status: 'success', messageId: 'first' },
      expect.objectContaining({
        status: 'error',
        code: 'ERR_RATE_LIMITED',
        messageId: 'second',
        retryAfterMs: expect.any(Number),
      }),
    ])
  })

  test('the released client throws the error', async () => {
    const { origin } = await startServer({ env: { RATE_LIMIT_IDENTITY: '1' } })
    const { client, identityKey } = await newClient(origin)
    await client.listMessages({ messageBox: 'inbox', host: origin })

    await expect(
      client.sendMessage({ recipient: identityKey, messageBox: 'inbox', body: 'hello' }, origin),
    ).rejects.toThrow(/HTTP 429/)
  })
})
