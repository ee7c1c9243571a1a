/** Forms of a request that clients and proxies produce. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { request } from 'node:http'
import { gzipSync } from 'node:zlib'
import { expectError, expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, sign, submit, type HandSession } from '../../tools/clients/signedRequests'

const JSON_TYPE = { 'content-type': 'application/json' }
const LIST = { target: '/listMessages', headers: JSON_TYPE, body: '{"messageBox":"inbox"}' }

let running: TestServer
let alice: HandSession
beforeAll(async () => {
  running = await startServer()
  alice = await handshake(running.origin)
})

/** Sends a request with exactly this target in its first line, which fetch would normalize. */
async function sendTo(
  target: string,
  init: { method: string; headers: Record<string, string>; body?: string | Buffer },
): Promise<{ status: number; body: { code?: string } }> {
  return await new Promise((resolve, reject) => {
    const req = request(
      {
        host: '127.0.0.1',
        port: running.server.port,
        path: target,
        method: init.method,
        headers: init.headers,
      },
      (res) => {
        const pieces: Buffer[] = []
        res.on('data', (piece: Buffer) => pieces.push(piece))
        res.on('end', () => {
          resolve({ status: res.statusCode!, body: JSON.parse(Buffer.concat(pieces).toString()) })
        })
      },
    )
    req.on('error', reject)
    req.end(init.body)
  })
}

describe('the target', () => {
  test.each(['//listMessages', '///listMessages', '//listMessages/', '/listMessages//'])(
    '%s reaches the route, and the signature covers the target as sent',
    async (target) => {
      expect(await submit(alice, await sign(alice, { ...LIST, target }))).toMatchObject({
        status: 200,
        verified: true,
      })
      expect(
        await submit(alice, await sign(alice, { ...LIST, target }, { target: '/listMessages' })),
      ).toMatchObject({ status: 401 })
    },
  )

  test('repeated slashes in a query are unchanged', async () => {
    expect(
      await submit(alice, await sign(alice, { ...LIST, target: '/listMessages?a=//b' })),
    ).toMatchObject({ status: 200, verified: true })
  })

  test.each([
    'http://example.com',
    'http://example.com:8080',
    'HTTP://example.com',
    'https://example.com',
  ])('may be in absolute form, with the origin %s', async (origin) => {
    const { init } = await sign(alice, LIST)
    expect(await sendTo(`${origin}/listMessages`, init)).toMatchObject({ status: 200 })
    expect((await sendTo(`${origin}/health`, { method: 'GET', headers: {} })).status).toBe(200)
    expect(
      (await sendTo(`${origin}?a=b`, { method: 'GET', headers: { accept: 'application/json' } }))
        .status,
    ).toBe(200)
    const other = await sign(alice, LIST, { target: '/acknowledgeMessage' })
    expect(await sendTo(`${origin}/listMessages`, other.init)).toMatchObject({ status: 401 })
  })
})

describe('the body', () => {
  test('may begin with a byte order mark', async () => {
    expect(await post(alice, '/listMessages', '\ufeff{"messageBox":"inbox"}')).toMatchObject({
      status: 200,
      verified: true,
    })
  })

  test.each(['gzip', 'GZIP', 'br', 'deflate', 'zstd', 'identity, gzip'])(
    'compressed as %s is rejected with ERR_UNSUPPORTED_ENCODING',
    async (encoding) => {
      const body = gzipSync(LIST.body)
      const { url, init } = await sign(alice, { ...LIST, body })
      const response = await fetch(url, {
        ...init,
        headers: { ...init.headers, 'content-encoding': encoding },
      } as RequestInit)
      expectError(
        { status: response.status, headers: response.headers, body: await response.json() },
        [415, 'ERR_UNSUPPORTED_ENCODING'],
      )
    },
  )

  test('of a handshake is rejected if compressed', async () => {
    const response = await fetch(`${running.origin}/.well-known/auth`, {
      method: 'POST',
      headers: { ...JSON_TYPE, 'content-encoding': 'gzip' },
      body: gzipSync('{}'),
    })
    expectError(
      { status: response.status, headers: response.headers, body: await response.json() },
      [415, 'ERR_UNSUPPORTED_ENCODING'],
    )
  })

  test('if absent, makes the server ignore content-encoding', async () => {
    const { url, init } = await sign(alice, { method: 'GET', target: '/devices' })
    for (const encoding of ['gzip', ''])
      expect(
        (
          await fetch(url.replace('/devices', '/health'), {
            headers: { 'content-encoding': encoding },
          })
        ).status,
      ).toBe(200)
    expect(
      (
        await fetch(url, {
          ...init,
          headers: { ...init.headers, 'content-encoding': 'gzip' },
        } as RequestInit)
      ).status,
    ).toBe(200)
  })

  test('may declare the encoding "identity"', async () => {
    const { url, init } = await sign(alice, LIST)
    expect(
      (
        await fetch(url, {
          ...init,
          headers: { ...init.headers, 'content-encoding': 'identity' },
        } as RequestInit)
      ).status,
    ).toBe(200)
  })

  test('is rejected when sent if no list could hold the message', async () => {
    const send = async (
      messageId: string,
      body: unknown,
    ): Promise<Awaited<ReturnType<typeof post>>> =>
      await post(alice, '/sendMessage', {
        message: { recipient: alice.identityKey, messageBox: 'huge', messageId, body },
      })
    // A list escapes the body as JSON twice: four bytes for each quote.
    expectRefusal(await send('1', { text: '"'.repeat(4_500_000) }), 413, 'ERR_BODY_TOO_LARGE', {
      limit: expect.any(Number),
    })
    expect(await send('2', { text: '"'.repeat(4_000_000) })).toMatchObject({ status: 200 })
    expect(await send('3', '"'.repeat(5_000_000))).toMatchObject({ status: 200 })
    for (const [offset, messageId] of [
      [0, '2'],
      [1, '3'],
    ] as const) {
      expect(await post(alice, '/listMessages', { messageBox: 'huge', offset })).toMatchObject({
        status: 200,
        verified: true,
        body: { messages: [{ messageId }] },
      })
    }
  })
})

test.each([
  ['/health', '/healthz', '/health/live'],
  ['/ready', '/readyz', '/health/ready'],
])('%s also answers under the paths that supervisors use', async (...paths) => {
  const answers = await Promise.all(
    paths.map(async (path) => await (await fetch(`${running.origin}${path}`)).text()),
  )
  expect(new Set(answers).size).toBe(1)
  for (const path of paths)
    expect((await fetch(`${running.origin}${path}`, { method: 'HEAD' })).status).toBe(200)
})
