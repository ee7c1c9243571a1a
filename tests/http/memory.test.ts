import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { publicKeyCreate } from 'secp256k1'

let child: ChildProcess
let port: number

beforeAll(async () => {
  child = fork(join(__dirname, '../../tools/programs/measuredServer.ts'), {
    execArgv: ['--expose-gc', '-r', join(__dirname, '../../scripts/transpile.js')],
  })
  const [message] = (await once(child, 'message')) as [{ port: number }]
  port = message.port
})

afterAll(() => {
  child.kill()
})

async function heap(): Promise<number> {
  child.send('measure')
  const [message] = (await once(child, 'message')) as [{ heap: number }]
  return message.heap
}

/** Sends requests over a few connections, each when the previous one is answered. */
async function flood(
  count: number,
  request: (index: number) => string,
): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {}
  let next = 0
  await Promise.all(
    Array.from(
      { length: 8 },
      async () =>
        await new Promise<void>((resolve, reject) => {
          const socket = connect(port, '127.0.0.1')
          let received = ''
          const send = (): void => {
            if (next < count) socket.write(request(next++))
            else socket.end(resolve)
          }
          socket.on('connect', send)
          socket.on('error', reject)
          socket.on('data', (data) => {
            received += data.toString('latin1')
            const head = /^HTTP\/1\.1 (\d+)[^]*?content-length: (\d+)[^]*?\r\n\r\n/i.exec(received)
            if (head === null || received.length < head[0].length + Number(head[2])) return
            received = ''
            statuses[head[1]!] = (statuses[head[1]!] ?? 0) + 1
            send()
          })
        }),
    ),
  )
  return statuses
}

function http(path: string, body: string, headers: Record<string, string> = {}): string {
  const lines = Object.entries({
    host: 'x',
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...headers,
  })
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

function identityKey(): string {
  return Buffer.from(publicKeyCreate(randomBytes(32))).toString('hex')
}

function rubbish(): string {
  return http('/sendMessage', '{"message":{}}', {
    'x-bsv-auth-version': '0.1',
    'x-bsv-auth-identity-key': identityKey(),
    'x-bsv-auth-nonce': randomBytes(32).toString('base64'),
    'x-bsv-auth-your-nonce': randomBytes(153).toString('base64'),
    'x-bsv-auth-request-id': randomBytes(32).toString('base64'),
    'x-bsv-auth-signature': randomBytes(70).toString('hex'),
  })
}

function handshake(): string {
  return http(
    '/.well-known/auth',
    JSON.stringify({
      version: '0.1',
      messageType: 'initialRequest',
      identityKey: identityKey(),
      initialNonce: randomBytes(48).toString('base64'),
    }),
  )
}

test('10,000 invalid requests and 10,000 handshakes grow the heap by less than 10 %', async () => {
  // Warm-up: compiles code, fills caches and pools.
  await flood(1500, (index) => (index % 2 === 0 ? rubbish() : handshake()))
  const before = await heap()

  expect(await flood(10_000, rubbish)).toEqual({ 401: 10_000 })
  expect(await flood(10_000, handshake)).toEqual({ 200: 10_000 })

  const after = await heap()
  expect(after / before).toBeLessThan(1.1)
})
