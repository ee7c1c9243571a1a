/** Bodies that are small on the wire, but expensive in memory or CPU time. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { until } from '../../tools/clients/live'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, sign, submit, type HandSession } from '../../tools/clients/signedRequests'

const JSON_TYPE = { 'content-type': 'application/json' }
const MIB = 1024 * 1024

let running: TestServer
let session: HandSession

beforeAll(async () => {
  running = await startServer()
  session = await handshake(running.origin)
})

/** Sends a head, then chunks until the server answers. Returns the answer and the chunks sent. */
async function sendChunks(
  path: string,
  headers: Record<string, string>,
  chunk: string,
  most: number,
): Promise<{ answer: string; sent: number }> {
  const socket = await open()
  let answer = ''
  socket.on('data', (data) => {
    answer += String(data)
  })
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\n${Object.entries({
      ...headers,
      'transfer-encoding': 'chunked',
    })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  )
  const framed = `${chunk.length.toString(16)}\r\n${chunk}\r\n`
  let sent = 0
  for (; sent < most && answer === '' && !socket.destroyed; sent += 1000) {
    socket.write(framed.repeat(1000))
    await new Promise(setImmediate)
  }
  if (answer === '') socket.write('0\r\n\r\n')
  await until(() => answer.includes('\r\n\r\n{') || socket.destroyed)
  socket.destroy()
  return { answer, sent }
}

async function open(): Promise<Socket> {
  const socket = connect(running.server.port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  return socket
}

describe('a body in chunks of one byte', () => {
  test.each<[string, string, () => Promise<Record<string, string>>]>([
    ['a handshake', '/.well-known/auth', async () => JSON_TYPE],
    [
      'a send with a session',
      '/sendMessage',
      async () =>
        (await sign(session, { target: '/sendMessage', headers: JSON_TYPE, body: 'x' })).init
          .headers,
    ],
  ])('%s is rejected once the limit of chunks is exceeded', async (_name, path, headers) => {
    const { answer, sent } = await sendChunks(path, await headers(), 'x', 10_000_000)

    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*"code":"ERR_BODY_IN_PIECES"/)
    expect(sent).toBeLessThan(200_000)
    expect(running.server.context.limits.incoming.used).toBe(0)
  })

  test.each(['/sendMessage', '/nothing', '/health'])(
    'at %s it is not read to its end',
    async (path) => {
      const { answer, sent } = await sendChunks(path, {}, 'x', 10_000_000)

      expect(answer).toMatch(/^HTTP\/1\.1 (401|404|405) /)
      expect(answer).toMatch(/\r\nconnection: close\r\n/i)
      expect(sent).toBeLessThan(200_000)
    },
  )

  test('chunks of the size that clients send are accepted in any number', async () => {
    const body = JSON.stringify({ messageBox: 'inbox', padding: 'x'.repeat(2 * MIB) })
    const { url, init } = await sign(session, { target: '/listMessages', headers: JSON_TYPE, body })
    const stream = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 500)
          controller.enqueue(Buffer.from(body.slice(at, at + 500)))
        controller.close()
      },
    })
    const response = await fetch(url, { ...init, body: stream, duplex: 'half' } as RequestInit)

    expect(response.status).toBe(200)
  })
})

describe('the complexity of a body', () => {
  const payment = (tx: string): string =>
    `{"message":{"recipient":"${session.identityKey}","messageBox":"inbox","messageId":"id","body":"x"},"payment":{"tx":${tx}}}`

  test.each<[string, () => string]>([
    ['millions of arrays', () => payment(`[${'[],'.repeat(3_000_000)}[]]`)],
    ['millions of objects', () => payment(`[${'{},'.repeat(3_000_000)}{}]`)],
    [
      'millions of keys',
      () =>
        payment(
          `{${Array.from({ length: 600_000 }, (_value, index) => `"${index}":1`).join(',')}}`,
        ),
    ],
    ['millions of numbers', () => payment(`[${'1,'.repeat(4_000_000)}1]`)],
    ['nested arrays', () => payment(`${'['.repeat(400_000)}${']'.repeat(400_000)}`)],
  ])('%s are rejected before they are parsed', async (_name, body) => {
    const answer = await post(session, '/sendMessage', body())
    expect(answer).toMatchObject({
      status: 400,
      verified: true,
      body: { code: 'ERR_JSON_TOO_COMPLEX' },
    })
  })

  test.each<[string, () => string]>([
    ['commas and brackets in a text', () => '[{,:'.repeat(500_000)],
    ['quotes and backslashes in a text', () => '\\"'.repeat(500_000)],
    [
      'commas and brackets behind a quote that comes late in a text',
      () => `${'x'.repeat(1000)}"${'[{,:'.repeat(500_000)}`,
    ],
    ['a payment of a million bytes as numbers', () => 'x'],
  ])('%s do not count as structure', async (name, text) => {
    const tx = name.startsWith('a payment')
      ? JSON.stringify(Array.from({ length: 1_000_000 }, () => 255))
      : '[1]'
    const body = JSON.stringify({
      message: {
        recipient: session.identityKey,
        messageBox: 'texts',
        messageId: name,
        body: text(),
      },
    })
    expect(
      (await post(session, '/sendMessage', `${body.slice(0, -1)},"payment":{"tx":${tx}}}`)).status,
    ).toBe(200)
  })
})

test('an error sent before the signature was checked is not signed', async () => {
  const { origin } = await startServer({ env: { MAX_BODY_SIZE: '1kb' } })
  const alice = await handshake(origin)
  const target = { target: '/listMessages', headers: JSON_TYPE }
  // An attacker on the path sends a request of its own with the client's session and request id.
  const forged = await sign(
    alice,
    { ...target, body: ' '.repeat(2000) },
    { body: 'what alice signed' },
  )

  const answer = await submit(alice, forged)
  expect(answer).toMatchObject({ status: 413, verified: false })
  expect([...answer.headers.keys()].filter((name) => name.startsWith('x-bsv'))).toEqual([])
})
