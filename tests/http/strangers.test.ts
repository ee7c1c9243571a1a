import { beforeAll, describe, expect, test } from '@jest/globals'
import { PrivateKey } from '@bsv/sdk'
import { randomBytes } from 'node:crypto'
import { SessionSealer } from '../../src/auth/session'
import { startServer, type TestServer } from '../../tools/servers/server'
import {
  handshake,
  sign,
  submit,
  walletOf,
  type HandRequest,
  type HandSession,
  type PreparedRequest,
} from '../../tools/clients/signedRequests'

const LIST: HandRequest = {
  target: '/listMessages',
  headers: { 'content-type': 'application/json' },
  body: '{"messageBox":"inbox"}',
}

let running: TestServer
let session: HandSession

beforeAll(async () => {
  running = await startServer()
  session = await handshake(running.host)
})

/** Changes one part of a valid request. */
type Forgery = (request: PreparedRequest) => PreparedRequest | Promise<PreparedRequest>

const header =
  (name: string, value: (old: string) => string): Forgery =>
  (request) => {
    const key = `x-bsv-auth-${name}`
    request.init.headers[key] = value(request.init.headers[key]!)
    return request
  }

const without =
  (name: string): Forgery =>
  (request) => {
    delete request.init.headers[`x-bsv-auth-${name}`]
    return request
  }

const forgeries: Array<[name: string, forgery: Forgery]> = [
  [
    'another identity key',
    header('identity-key', () => PrivateKey.fromRandom().toPublicKey().toString()),
  ],
  ['an invalid identity key', header('identity-key', () => 'rubbish')],
  ['no identity key', without('identity-key')],
  ['an invalid signature', header('signature', () => 'deadbeef')],
  ['a signature that is not hex', header('signature', () => 'zz')],
  ['an empty signature', header('signature', () => '')],
  ['no signature', without('signature')],
  ['a signature followed by a byte', header('signature', (old) => `${old}00`)],
  ['another version', header('version', () => '0.2')],
  ['no version', without('version')],
  ['no nonce', without('nonce')],
  ['a nonce that was not signed', header('nonce', () => randomBytes(32).toString('base64'))],
  ['a nonce of 10,000 characters', header('nonce', () => 'A'.repeat(10_000))],
  ['no session', without('your-nonce')],
  ['a session of random bytes', header('your-nonce', () => randomBytes(153).toString('base64'))],
  ['a truncated session', header('your-nonce', (old) => old.slice(0, -4))],
  [
    'a session with a bit flipped',
    header('your-nonce', (old) => {
      const bytes = Buffer.from(old, 'base64')
      bytes[20]! ^= 1
      return bytes.toString('base64')
    }),
  ],
  ['a session in another spelling of base64', header('your-nonce', (old) => `${old}=`)],
  [
    'a session sealed by another key',
    header(
      'your-nonce',
      () =>
        new SessionSealer(randomBytes(32)).seal(session.identityKey, session.clientNonce)
          .serverNonce,
    ),
  ],
  ['another request id', header('request-id', () => randomBytes(32).toString('base64'))],
  ['a request id of 31 bytes', header('request-id', () => randomBytes(31).toString('base64'))],
  ['no request id', without('request-id')],
  [
    'a signature over another body',
    async () => await sign(session, LIST, { body: '{"messageBox":"other"}' }),
  ],
  [
    'a signature over another path',
    async () => await sign(session, LIST, { target: '/acknowledgeMessage' }),
  ],
  [
    'a signature over another search',
    async () =>
      await sign(
        session,
        { ...LIST, target: '/listMessages?a=1' },
        { target: '/listMessages?a=2' },
      ),
  ],
  ['a signature over another method', async () => await sign(session, LIST, { method: 'PUT' })],
  [
    'a signature over other headers',
    async () =>
      await sign(
        session,
        { ...LIST, headers: { ...LIST.headers, 'x-bsv-extra': '1' } },
        { headers: LIST.headers! },
      ),
  ],
  [
    "another client's session, signed with the sender's own key",
    async () => {
      const victim = await handshake(running.host)
      return await sign(
        { ...session, serverNonce: victim.serverNonce, identityKey: victim.identityKey },
        LIST,
      )
    },
  ],
]

describe('forged requests are rejected', () => {
  test.each(forgeries)('%s', async (_name, forgery) => {
    const answer = await submit(session, await forgery(await sign(session, LIST)))

    expect(answer).toMatchObject({
      status: 401,
      verified: false,
      body: {
        status: 'error',
        code: 'UNAUTHORIZED',
        message: 'Mutual-authentication failed!',
        description: expect.any(String),
      },
    })
    expect([...answer.headers.keys()].filter((name) => name.startsWith('x-bsv-'))).toEqual([])
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  })

  test('the unchanged request is answered', async () => {
    expect(await submit(session, await sign(session, LIST))).toMatchObject({
      status: 200,
      verified: true,
    })
  })

  test('a replayed request is rejected', async () => {
    const request = await sign(session, LIST)
    expect((await submit(session, request)).status).toBe(200)
    expect(await submit(session, request)).toMatchObject({
      status: 401,
      body: { code: 'UNAUTHORIZED' },
    })
  })
})

describe('40 MB from an unauthenticated client', () => {
  test('are rejected, and the answer arrives', async () => {
    const body = Buffer.alloc(40_000_000, 0x20)
    const response = await fetch(`${running.host}/sendMessage`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })

    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ code: 'UNAUTHORIZED' })
  })
})

describe('an invalid handshake is rejected', () => {
  const valid = {
    version: '0.1',
    messageType: 'initialRequest',
    identityKey: PrivateKey.fromRandom().toPublicKey().toString(),
    initialNonce: randomBytes(48).toString('base64'),
  }

  test.each<[string, unknown, string]>([
    ['null', 'null', 'ERR_INVALID_AUTH_MESSAGE'],
    ['an empty object', {}, 'ERR_INVALID_AUTH_MESSAGE'],
    ['malformed JSON', '{"version":', 'ERR_INVALID_JSON'],
    [
      'JSON nested 30,000 deep',
      '['.repeat(30_000) + ']'.repeat(30_000),
      'ERR_INVALID_AUTH_MESSAGE',
    ],
    ['another version', { ...valid, version: '0.2' }, 'ERR_INVALID_AUTH_MESSAGE'],
    ['another type', { ...valid, messageType: 'general' }, 'ERR_INVALID_AUTH_MESSAGE'],
    ['no key', { ...valid, identityKey: undefined }, 'ERR_INVALID_AUTH_MESSAGE'],
    ['a key that is a number', { ...valid, identityKey: 2 }, 'ERR_INVALID_AUTH_MESSAGE'],
    [
      'a key off the curve',
      { ...valid, identityKey: `02${'0'.repeat(63)}5` },
      'ERR_INVALID_AUTH_MESSAGE',
    ],
    ['no nonce', { ...valid, initialNonce: '' }, 'ERR_INVALID_AUTH_MESSAGE'],
    ['a nonce that is an array', { ...valid, initialNonce: [1] }, 'ERR_INVALID_AUTH_MESSAGE'],
    [
      'a nonce of 257 characters',
      { ...valid, initialNonce: 'x'.repeat(257) },
      'ERR_INVALID_AUTH_MESSAGE',
    ],
    ['a nonce with a line break', { ...valid, initialNonce: 'a\nb' }, 'ERR_INVALID_AUTH_MESSAGE'],
    [
      'a request for certificates',
      { ...valid, messageType: 'certificateRequest' },
      'ERR_CERTIFICATES_NOT_SUPPORTED',
    ],
    [
      'certificates',
      { ...valid, messageType: 'certificateResponse' },
      'ERR_CERTIFICATES_NOT_SUPPORTED',
    ],
  ])('%s', async (_name, message, code) => {
    const response = await fetch(`${running.host}/.well-known/auth`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof message === 'string' ? message : JSON.stringify(message),
    })

    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      status: 'error',
      code,
      description: expect.any(String),
    })
  })

  test('a handshake that is too large is rejected', async () => {
    const response = await fetch(`${running.host}/.well-known/auth`, {
      method: 'POST',
      body: JSON.stringify({ ...valid, padding: 'x'.repeat(70_000) }),
    })
    expect(response.status).toBe(413)
  })

  test('a nonce of maximum length works, and so do requests of its session', async () => {
    const key = PrivateKey.fromRandom()
    const clientNonce = 'n'.repeat(256)
    const response = await fetch(`${running.host}/.well-known/auth`, {
      method: 'POST',
      body: JSON.stringify({
        ...valid,
        identityKey: key.toPublicKey().toString(),
        initialNonce: clientNonce,
      }),
    })
    const { initialNonce, identityKey } = (await response.json()) as {
      initialNonce: string
      identityKey: string
    }
    const long: HandSession = {
      ...session,
      wallet: walletOf(key),
      identityKey: key.toPublicKey().toString(),
      clientNonce,
      serverNonce: initialNonce,
      serverKey: identityKey,
    }

    expect(await submit(long, await sign(long, LIST))).toMatchObject({
      status: 200,
      verified: true,
    })
  })
})
