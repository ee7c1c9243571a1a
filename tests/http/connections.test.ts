import { beforeAll, describe, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { NativeServerKey, type ServerKey } from '../../src/auth/serverKey'
import { Secret } from '../../src/lib/secret'
import { eventually } from '../../tools/programs/processes'
import { expectError } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import {
  handshake,
  post,
  sign,
  submit,
  type Answer,
  type HandSession,
} from '../../tools/clients/signedRequests'

let running: TestServer

beforeAll(async () => {
  running = await startServer({ env: { ENABLE_WEBSOCKETS: 'true' } })
})

/** What the server answers to these bytes until the server or a timeout ends the connection. */
async function tell(text: string): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect(running.server.port, '127.0.0.1', () => {
      socket.write(text)
    })
    let answer = ''
    socket.setTimeout(3000, () => socket.destroy())
    socket.on('data', (data) => {
      answer += String(data)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      resolve(answer)
    })
  })
}

test.each(['h2c', 'websocket'])(
  'a request for an upgrade to %s is answered over HTTP',
  async (protocol) => {
    const answer = await tell(
      `GET /health HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: ${protocol}\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  },
)

test('a request for an upgrade that has a body is rejected', async () => {
  const answer = await tell(
    'POST /sendMessage HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\n{}',
  )
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer).toContain('ERR_BAD_REQUEST')
})

test('the server ends a connection with too many unanswered requests', async () => {
  const answer = await tell('GET /ready HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(200))
  expect(answer.match(/HTTP\/1\.1 200/g)?.length ?? 0).toBeLessThan(200)
  expect((await fetch(`${running.origin}/ready`)).status).toBe(200)
})

/** The head of a request with a session, but without a valid signature. */
function head(session: HandSession, length: number): string {
  return [
    'POST /listMessages HTTP/1.1',
    'host: x',
    'content-type: application/json',
    `content-length: ${length}`,
    'x-bsv-auth-version: 0.1',
    `x-bsv-auth-identity-key: ${session.identityKey}`,
    `x-bsv-auth-nonce: ${Buffer.alloc(32).toString('base64')}`,
    `x-bsv-auth-your-nonce: ${session.serverNonce}`,
    `x-bsv-auth-request-id: ${Buffer.alloc(32).toString('base64')}`,
    'x-bsv-auth-signature: 00',
    '',
    '',
  ].join('\r\n')
}

/** Opens a connection and writes this data to it. */
async function write(
  port: number,
  ...data: Array<string | Buffer>
): Promise<ReturnType<typeof connect>> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(Buffer.concat(data.map((part) => Buffer.from(part))), () => {
        resolve(socket)
      })
    })
    socket.on('error', () => {}).resume()
  })
}

/** In bytes. An address may use 32 MiB: eight of these take nearly all of it. */
const BIG = 4_000_000

describe('the memory for bodies', () => {
  test('is limited per address; small bodies and other addresses are still served', async () => {
    const { server, origin } = await startServer({ env: { TRUST_PROXY: '1' } })
    const session = await handshake(origin)
    const sockets = await Promise.all(
      Array.from(
        { length: 8 },
        async () => await write(server.port, head(session, BIG + 1), Buffer.alloc(BIG)),
      ),
    )
    const big = async (address: string): Promise<Answer> => {
      const prepared = await sign(session, {
        target: '/listMessages',
        headers: { 'content-type': 'application/json' },
        body: `{"messageBox":"inbox"}${' '.repeat(2_000_000)}`,
      })
      prepared.init.headers['x-forwarded-for'] = address
      return await submit(session, prepared)
    }

    const refused = await eventually(
      async () => {
        const answer = await big('127.0.0.1')
        return answer.status === 503 ? answer : undefined
      },
      () => 'the share of an address has no end',
    )
    expectError(refused, [503, 'ERR_SERVER_BUSY'])
    expect((await post(session, '/listMessages', { messageBox: 'inbox' })).status).toBe(200)
    expect((await big('192.0.2.1')).status).toBe(200)

    sockets.forEach((socket) => {
      socket.destroy()
    })
    expect(
      await eventually(
        async () => (await big('127.0.0.1')).status === 200 || undefined,
        () => 'the memory is not given back',
      ),
    ).toBe(true)
  })

  test('counts the bytes that have arrived, not content-length', async () => {
    const { server, origin } = await startServer()
    const session = await handshake(origin)
    const sockets = await Promise.all(
      Array.from({ length: 40 }, async () => await write(server.port, head(session, 10_000_000))),
    )

    const body = `{"messageBox":"inbox"}${' '.repeat(1_000_000)}`
    expect((await post(session, '/listMessages', body)).status).toBe(200)
    sockets.forEach((socket) => {
      socket.destroy()
    })
  })
})

test('a connection that ends within a body releases its memory and its request slot', async () => {
  const { server, origin } = await startServer({ env: { METRICS_PORT: '0' } })
  const session = await handshake(origin)
  const handshakes = 'POST /.well-known/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}'
  const sockets = await Promise.all(
    Array.from(
      { length: 8 },
      async () =>
        await write(server.port, handshakes, head(session, 9_000_000), Buffer.alloc(4_000_000)),
    ),
  )
  await eventually(
    () => server.context.limits.incoming.used >= 8 * 4_000_000 || undefined,
    () => 'not everything has arrived',
  )

  sockets.forEach((socket) => {
    socket.destroy()
  })

  // The server counts each request as ended, and releases the memory of its body.
  const text = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${server.metricsPort!}/metrics`)).text()
  await eventually(
    async () => {
      const lines = (await text())
        .split('\n')
        .filter((line) => line.startsWith('messagebox_http_requests_total'))
      return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0) >= 17
        ? lines
        : undefined
    },
    () => 'not every request came to an end',
  )
  expect(server.context.limits.gate.working).toBe(0)
  expect(server.context.limits.incoming.used).toBe(0)
  expect(
    (await post(session, '/listMessages', `{"messageBox":"inbox"}${' '.repeat(1_000_000)}`)).status,
  ).toBe(200)
})

test('headers that are too large are answered with ERR_HEADERS_TOO_LARGE', async () => {
  const answer = await tell(
    `GET /health HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(100_000)}\r\n\r\n`,
  )
  expect(answer).toMatch(/^HTTP\/1\.1 431 /)
  expect(answer).toContain('ERR_HEADERS_TOO_LARGE')
})

test('the answer to a wrong method lists the allowed methods', async () => {
  const response = await fetch(`${running.origin}/sendMessage`)
  expect(response.status).toBe(405)
  expect(response.headers.get('allow')).toBe('POST')
})

test('an idle connection without requests does not delay a stop', async () => {
  const { server } = await startServer()
  const socket = connect(server.port, '127.0.0.1')
  await new Promise<void>((resolve) =>
    socket.once('connect', () => {
      resolve()
    }),
  )
  const closed = new Promise<void>((resolve) =>
    socket.once('close', () => {
      resolve()
    }),
  )
  // Once the server has answered a later connection, it has accepted this one too.
  await fetch(`http://127.0.0.1:${server.port}/health`)
  const since = Date.now()
  await server.stop()

  expect(Date.now() - since).toBeLessThan(4000)
  await closed
})

test('if the server key cannot sign, the request fails and the server continues', async () => {
  const serverKey = new NativeServerKey(new Secret(randomBytes(32).toString('hex')))
  let broken = false
  const frail: ServerKey = {
    identityKey: serverKey.identityKey,
    signHash: async (hash, key) =>
      broken ? await Promise.reject(new Error('the key is away')) : serverKey.signHash(hash, key),
    verifyHash: (hash, signature, key) => serverKey.verifyHash(hash, signature, key),
    createHmac: (data, key) => serverKey.createHmac(data, key),
    derivePublicKey: (key, forSelf) => serverKey.derivePublicKey(key, forSelf),
  }
  const { origin } = await startServer({ overrides: { serverKey: frail } })
  const session = await handshake(origin)
  broken = true
  const answer = await post(session, '/listMessages', { messageBox: 'inbox' })
  broken = false

  expect(answer).toMatchObject({ status: 500, verified: false, body: { code: 'ERR_INTERNAL' } })
  expect(await post(session, '/listMessages', { messageBox: 'inbox' })).toMatchObject({
    status: 200,
    verified: true,
  })
})
