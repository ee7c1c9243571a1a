/** Sessions without a table: the form of their nonces, their lifetime, and attacks on them. */
import { PrivateKey, PublicKey, Utils } from '@bsv/sdk'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto'
import { deriveSealingKey, NativeServerKey } from '../../src/auth/serverKey'
import { OPERATIONS } from '../../src/openapi/document'
import { Secret } from '../../src/lib/secret'
import { EVERY_RELEASE, newClient } from '../../tools/clients/clients'
import { lightSocket, startLive, until } from '../../tools/clients/live'
import { newPyClient } from '../../tools/clients/pyClient'
import { joinServer, type TestServer } from '../../tools/servers/server'
import {
  framedRequest,
  handshake,
  post,
  sign,
  submit,
  type HandRequest,
  type HandSession,
} from '../../tools/clients/signedRequests'
import type { StrictFrame } from '../../tools/contract/strict'

const LIST = {
  target: '/listMessages',
  headers: { 'content-type': 'application/json' },
  body: '{"messageBox":"inbox"}',
}
const UNKNOWN = {
  status: 401,
  verified: false,
  body: {
    code: 'UNAUTHORIZED',
    description: expect.stringMatching(/^Session not found for nonce/),
  },
}

let server: TestServer
beforeAll(async () => {
  server = await startLive()
})

interface HandshakeAnswer extends StrictFrame {
  initialNonce: string
  identityKey: string
}

async function askHandshake(identityKey: string, initialNonce: string): Promise<HandshakeAnswer> {
  const response = await fetch(`${server.origin}/.well-known/auth`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      version: '0.1',
      messageType: 'initialRequest',
      identityKey,
      initialNonce,
    }),
  })
  return (await response.json()) as HandshakeAnswer
}

function queryOf(example: unknown): string {
  const pairs = Object.entries((example ?? {}) as Record<string, string | string[]>).flatMap(
    ([name, value]) => [value].flat().map((one) => [name, one] as [string, string]),
  )
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`
}

const flip = (nonce: string, at: number): string => {
  const bytes = Buffer.from(nonce, 'base64')
  bytes[at]! ^= 1
  return bytes.toString('base64')
}

/** The helpers check everything the server sends. These tests make it send every kind of answer. */
describe('the newest clients accept', () => {
  test('every answer of every route, successes and errors', async () => {
    const session = await handshake(server.origin)
    const operations = OPERATIONS.filter(
      ({ access, atRoot }) => access === 'identity' && atRoot === undefined,
    )
    expect(operations.length).toBeGreaterThan(8)
    for (const { method, path, body, query } of operations) {
      const requests: HandRequest[] =
        method === 'get'
          ? [undefined, ...Object.values(query?.examples ?? {})].map((example) => ({
              method: 'GET',
              target: `${path}${queryOf(example)}`,
            }))
          : [{}, ...Object.values(body?.examples ?? {})].map((example) => ({
              target: path,
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify(example),
            }))
      for (const request of requests)
        expect({ request, ...(await submit(session, await sign(session, request))) }).toMatchObject(
          { request, verified: true },
        )
    }
    expect(await post(session, '/nothing', {})).toMatchObject({ status: 404 })
  })

  test('the largest page', async () => {
    const session = await handshake(server.origin)
    const message = {
      recipient: session.identityKey,
      messageBox: 'large',
      body: '"'.repeat(1_900_000),
    }
    for (const messageId of ['1', '2', '3'])
      expect(
        await post(session, '/sendMessage', { message: { ...message, messageId } }),
      ).toMatchObject({ status: 200 })
    const request = await sign(session, {
      target: '/listMessages',
      headers: LIST.headers,
      body: '{"messageBox":"large"}',
    })
    const page = await (await fetch(request.url, request.init as RequestInit)).text()
    expect(JSON.parse(page)).toMatchObject({
      messages: [{ messageId: '1' }],
      hasMore: true,
      nextOffset: 1,
    })
    // The oldest of the newer clients count four bytes for each byte of the page, and accept 16 MiB
    // in total.
    await post(session, '/sendMessage', {
      message: { ...message, body: 'x'.repeat(190_000), messageId: '0' },
    })
    await post(session, '/acknowledgeMessage', { messageIds: ['2', '3'] })
    await post(session, '/sendMessage', {
      message: { ...message, body: 'x'.repeat(100_000), messageId: '4' },
    })
    const full = Buffer.from(
      await (
        await fetch(
          request.url,
          (
            await sign(session, {
              target: '/listMessages',
              headers: LIST.headers,
              body: '{"messageBox":"large"}',
            })
          ).init as RequestInit,
        )
      ).arrayBuffer(),
    )
    expect(full.length).toBeGreaterThan(3_900_000)
    expect(4 * full.length + 2048).toBeLessThan(16 * 1024 * 1024)
  })

  test('handshakes of both kinds and every event over the socket', async () => {
    const live = await startLive({ live: { silenceMs: 20 } })
    const kinds = new Set<unknown>()
    const socket = lightSocket(live.origin)
    socket.raw.on('authMessage', ({ messageType }: StrictFrame) => kinds.add(messageType))
    await until(() => kinds.size > 0)
    await socket.authenticate()
    const roomId = `${socket.identityKey}-inbox`
    socket.emit('authenticated', { identityKey: `02${'1'.repeat(64)}` })
    await socket.next('authenticationFailed')
    socket.emit('joinRoom', 'not mine')
    await socket.next('joinFailed')
    socket.emit('leaveRoom', 'not mine')
    await socket.next('leaveFailed')
    socket.emit('joinRoom', roomId)
    await socket.next('joinedRoom')
    socket.emit('sendMessage', {
      roomId,
      message: { messageId: '1', recipient: socket.identityKey, body: '"'.repeat(100_000) },
    })
    await socket.next(`sendMessageAck-${roomId}`)
    await socket.next(`sendMessage-${roomId}`)
    socket.emit('sendMessage', {
      roomId,
      message: { messageId: '', recipient: socket.identityKey, body: 'x' },
    })
    await socket.next('messageFailed')
    socket.emit('leaveRoom', roomId)
    await socket.next('leftRoom')

    expect(kinds).toEqual(new Set(['initialRequest', 'initialResponse', 'general']))
  })

  test('no event for a message that is too large for one: it stays in its box', async () => {
    const live = await startLive()
    const socket = await lightSocket(live.origin).authenticate()
    const roomId = `${socket.identityKey}-inbox`
    socket.emit('joinRoom', roomId)
    await socket.next('joinedRoom')
    const session = await handshake(live.origin)
    const send = async (messageId: string, body: string): Promise<void> => {
      expect(
        await post(session, '/sendMessage', {
          message: { recipient: socket.identityKey, messageBox: 'inbox', messageId, body },
        }),
      ).toMatchObject({ status: 200 })
    }
    await send('1', 'x'.repeat(1_500_000))
    await send('2', 'é'.repeat(524_288))
    await send('3', '"'.repeat(524_288))
    await send('4', 'small')

    expect(((await socket.next(`sendMessage-${roomId}`)) as { messageId: string }).messageId).toBe(
      '4',
    )
  })

  test.each([
    'x',
    'nonce',
    randomBytes(32).toString('base64'),
    'A'.repeat(63),
    '~'.repeat(64),
    '~'.repeat(256),
  ])('a session for a client nonce of another form: %s', async (clientNonce) => {
    const key = PrivateKey.fromRandom()
    const session = await handshake(server.origin, key)
    const { initialNonce: serverNonce } = await askHandshake(session.identityKey, clientNonce)
    expect(
      await post({ ...session, clientNonce, serverNonce }, '/listMessages', {
        messageBox: 'inbox',
      }),
    ).toMatchObject({ status: 200, verified: true })
  })
})

describe('a session stays valid', () => {
  test('after a restart, and on another node', async () => {
    const live = await startLive()
    const session = await handshake(live.origin)
    await live.restart()
    const node = await joinServer(live)
    for (const { origin } of [live, node])
      expect(
        await post({ ...session, origin }, '/listMessages', { messageBox: 'inbox' }),
      ).toMatchObject({ status: 200, verified: true })
  })

  test('in the previous format of the server nonce', async () => {
    const session = await handshake(server.origin)
    const secret = await deriveSealingKey(
      new NativeServerKey(new Secret(server.env.SERVER_PRIVATE_KEY!)),
      'session',
    )
    const sealed = Buffer.concat([
      randomBytes(16),
      Buffer.alloc(6),
      Buffer.from(session.identityKey, 'hex'),
      Buffer.from(session.clientNonce),
      Buffer.of(0, 64),
    ])
    const serverNonce = Buffer.concat([
      sealed,
      createHmac('sha256', secret).update(sealed).digest(),
    ]).toString('base64')
    expect(
      await post({ ...session, serverNonce }, '/listMessages', { messageBox: 'inbox' }),
    ).toMatchObject({ status: 200, verified: true })
    expect(
      await post({ ...session, serverNonce: flip(serverNonce, 100) }, '/listMessages', {
        messageBox: 'inbox',
      }),
    ).toMatchObject(UNKNOWN)
  })

  test('with several devices of one identity at once', async () => {
    const key = PrivateKey.fromRandom()
    const devices = await Promise.all(
      Array.from({ length: 4 }, async () => await handshake(server.origin, key)),
    )
    const answers = await Promise.all(
      [...devices, ...devices].map(
        async (device) => await post(device, '/listMessages', { messageBox: 'inbox' }),
      ),
    )
    expect(answers.map(({ status, verified }) => [status, verified])).toEqual(
      answers.map(() => [200, true]),
    )
  })

  test.each(EVERY_RELEASE)(
    'until the server key changes; then the released client %s makes a new one',
    async (release) => {
      const live = await startLive()
      const { client, identityKey } = await newClient(live.host, { release })
      const send = async (body: string): Promise<void> => {
        await client.sendMessage(
          {
            recipient: identityKey,
            messageBox: 'inbox',
            body,
            skipEncryption: true,
            messageId: randomUUID(),
          } as never,
          live.host,
        )
      }
      await send('before')
      await live.restart({ SERVER_PRIVATE_KEY: randomBytes(32).toString('hex') })
      await send('after')
      expect(
        await client.listMessages({ messageBox: 'inbox', host: live.host } as never),
      ).toHaveLength(2)
    },
  )
})

test('a client like py-sdk works, also after the server key changed', async () => {
  const live = await startLive()
  const client = newPyClient(live.origin)
  const sendOne = async (): Promise<unknown> =>
    await client.call('POST', '/sendMessage', {
      message: {
        recipient: client.identityKey,
        messageBox: 'inbox',
        messageId: randomUUID(),
        body: 'hello',
      },
    })
  await sendOne()
  await live.restart()
  const { messages } = await client.call('POST', '/listMessages', { messageBox: 'inbox' })
  expect(messages).toMatchObject([{ body: 'hello' }])
  await client.call('POST', '/acknowledgeMessage', {
    messageIds: (messages as Array<{ messageId: string }>).map(({ messageId }) => messageId),
  })
  expect(await client.call('GET', '/devices')).toMatchObject({ devices: [] })
  expect(client.handshakes).toBe(1)

  await live.restart({ SERVER_PRIVATE_KEY: randomBytes(32).toString('hex') })
  await sendOne()
  expect(await client.call('POST', '/listMessages', { messageBox: 'inbox' })).toMatchObject({
    messages: [{ body: 'hello' }],
  })
  expect(client.handshakes).toBe(2)
})

describe('an attacker gains nothing from', () => {
  let victim: HandSession
  let mallory: HandSession
  beforeAll(async () => {
    ;[victim, mallory] = await Promise.all([handshake(server.origin), handshake(server.origin)])
    await post(await handshake(server.origin), '/sendMessage', {
      message: {
        recipient: victim.identityKey,
        messageBox: 'inbox',
        messageId: randomUUID(),
        body: 'for the victim',
      },
    })
  })

  test.each<[string, () => string]>([
    ["the victim's", () => victim.serverNonce],
    ['an invented one', () => randomBytes(48).toString('base64')],
    ['its own, altered', () => flip(mallory.serverNonce, 47)],
  ])('its own key with a session: %s', async (_name, nonceOf) => {
    // The server accepts it as itself, and signs the answer for a nonce that no client sent.
    const answer = await post({ ...mallory, serverNonce: nonceOf() }, '/listMessages', {
      messageBox: 'inbox',
    })
    expect(answer).toMatchObject({ status: 200, verified: false, body: { messages: [] } })
    expect(await post(victim, '/listMessages', { messageBox: 'inbox' })).toMatchObject({
      status: 200,
      verified: true,
      body: { messages: [{ body: expect.stringContaining('for the victim') }] },
    })
  })

  test.each<[string, () => string]>([
    ['its own session', () => mallory.serverNonce],
    ["the victim's session", () => victim.serverNonce],
    ['an invented session', () => randomBytes(48).toString('base64')],
  ])("the victim's key with %s", async (_name, nonceOf) => {
    expect(
      await post(
        { ...mallory, identityKey: victim.identityKey, serverNonce: nonceOf() },
        '/listMessages',
        { messageBox: 'inbox' },
      ),
    ).toMatchObject(UNKNOWN)
  })

  test("an identity key off the curve, or the server's key", async () => {
    const uncompressed = Utils.toHex(
      PublicKey.fromString(mallory.identityKey).encode(false) as number[],
    )
    expect(
      await post({ ...mallory, identityKey: uncompressed }, '/listMessages', {
        messageBox: 'inbox',
      }),
    ).toMatchObject({ status: 200 })
    for (const identityKey of [
      `02${'f'.repeat(64)}`,
      '',
      'x',
      victim.serverKey,
      victim.identityKey.toUpperCase(),
    ]) {
      expect(
        await post({ ...mallory, identityKey }, '/listMessages', { messageBox: 'inbox' }),
      ).toMatchObject({ status: 401 })
    }
  })

  test('a captured request in another session', async () => {
    const captured = await sign(victim, LIST)
    captured.init.headers['x-bsv-auth-your-nonce'] = (await handshake(server.origin)).serverNonce
    expect(await submit(victim, captured)).toMatchObject(UNKNOWN)
  })

  test("handshakes in the victim's name, even with the victim's own nonce", async () => {
    await askHandshake(victim.identityKey, randomBytes(48).toString('base64'))
    expect((await askHandshake(victim.identityKey, victim.clientNonce)).initialNonce).toBe(
      victim.serverNonce,
    )
    expect((await askHandshake(mallory.identityKey, victim.clientNonce)).initialNonce).not.toBe(
      victim.serverNonce,
    )
    expect(await post(victim, '/listMessages', { messageBox: 'inbox' })).toMatchObject({
      status: 200,
      verified: true,
    })
  })

  test('nonces of socket connections, used over HTTP', async () => {
    const live = await startLive({ live: { silenceMs: 20 } })
    const socket = lightSocket(live.origin)
    const given: string[] = []
    socket.raw.on('authMessage', (frame: StrictFrame) => {
      if (frame.initialNonce !== undefined) given.push(frame.initialNonce as string)
    })
    await until(() => given.length > 0)
    await socket.authenticate()
    // The same identity whose events the server verified under these nonces.
    const session = { ...(await handshake(live.origin, PrivateKey.fromHex(socket.privateKey))) }
    expect(session.identityKey).toBe(socket.identityKey)
    expect(given.length).toBeGreaterThanOrEqual(2)
    for (const serverNonce of given)
      expect(
        await post({ ...session, serverNonce }, '/listMessages', { messageBox: 'inbox' }),
      ).toMatchObject(UNKNOWN)
  })

  test('a handshake replayed on another connection: the nonces differ', async () => {
    const initialNonce = randomBytes(48).toString('base64')
    const nonces = await Promise.all(
      [1, 2].map(async () => {
        const socket = lightSocket(server.origin)
        const answer = new Promise<string>((resolve) => {
          socket.raw.on('authMessage', (frame: StrictFrame) => {
            resolve(frame.initialNonce as string)
          })
        })
        socket.raw.emit('authMessage', {
          version: '0.1',
          messageType: 'initialRequest',
          identityKey: victim.identityKey,
          initialNonce,
        })
        return await answer
      }),
    )
    expect(new Set(nonces).size).toBe(2)
  })

  test("the victim's signed answer to a handshake, reused as a request", async () => {
    const key = PrivateKey.fromRandom()
    const session = await handshake(server.origin, key)
    // The victim signs the attacker's nonce followed by its own. Its own is random; here it happens
    // to end a body.
    const tail = Buffer.from(`${'a'.repeat(46)}"}`)
    const whole = `{"messageBox":"inbox","x":"${tail.toString()}`
    const requestId = randomBytes(32)
    const signed = framedRequest(requestId, { ...LIST, body: whole })
    const nonce = signed.subarray(0, -tail.length).toString('base64')
    const serverNonce = tail.toString('base64')
    const signature = session.wallet.signHash(createHash('sha256').update(signed).digest(), {
      protocolID: [2, 'auth message signature'],
      keyID: `${nonce} ${serverNonce}`,
      counterparty: session.serverKey,
    })
    const request = await sign({ ...session, serverNonce }, { ...LIST, body: whole })
    Object.assign(request.init.headers, {
      'x-bsv-auth-nonce': nonce,
      'x-bsv-auth-request-id': requestId.toString('base64'),
      'x-bsv-auth-signature': signature.toString('hex'),
    })

    expect(await submit(session, request)).toMatchObject({
      status: 401,
      body: { code: 'UNAUTHORIZED' },
    })
  })
})
