/** How a request of Socket.IO reaches the worker that has its session, byte for byte. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { Agent, createServer, request, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Relay } from '../../src/workers/relay'
import { Worker } from '../../src/workers/worker'
import { until } from '../../tools/clients/live'

interface Arrived {
  worker: number
  address: string | undefined
  headers: IncomingMessage['headers']
  aborted: boolean
}

const folder = mkdtempSync(join(tmpdir(), 'messagebox-relay-'))
const relays = [1, 2].map((number) => new Relay(new Worker({ number, count: 3, folder })))
const servers: Server[] = []
const arrived: Arrived[] = []
let ports: number[]

/** Answers with the length and the hash of the body, and then the body. `/slow` never answers. */
const answer =
  (worker: number) =>
  (req: IncomingMessage, res: import('node:http').ServerResponse): void => {
    const entry: Arrived = {
      worker,
      address: req.socket.remoteAddress,
      headers: req.headers,
      aborted: false,
    }
    arrived.push(entry)
    res.once('close', () => {
      entry.aborted = !res.writableFinished
    })
    if (req.url!.includes('slow')) return
    const parts: Buffer[] = []
    req.on('data', (part: Buffer) => parts.push(part))
    req.on('end', () => {
      const body = Buffer.concat(parts)
      res.writeHead(207, 'As it was', [
        ...['X-Worker', String(worker), 'X-Length', String(body.length), 'X-Twice', 'a'],
        ...['X-Twice', 'b'],
      ])
      for (let at = 0; at < body.length; at += 1000) res.write(body.subarray(at, at + 1000))
      res.end()
    })
  }

beforeAll(async () => {
  ports = await Promise.all(
    relays.map(async (relay, index) => {
      relay.claimPath()
      const own = createServer(relay.forward(answer(index + 1)))
      const relayed = createServer(relay.receive(answer(index + 1)))
      servers.push(own, relayed)
      await new Promise<void>((resolve) => relayed.listen(relay.path, resolve))
      await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve))
      return (own.address() as AddressInfo).port
    }),
  )
})

afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
  rmSync(folder, { recursive: true, force: true })
})

const pathOf = (id: string, more = ''): string =>
  `/socket.io/?EIO=4&transport=polling&sid=${id}${more}`

async function ask(
  path: string,
  { body, agent, headers = {} }: { body?: Buffer[]; agent?: Agent; headers?: object } = {},
): Promise<{ res: IncomingMessage; body: Buffer; isReused: boolean }> {
  return await new Promise((resolve, reject) => {
    const req = request({
      port: ports[0]!,
      host: '127.0.0.1',
      path,
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...headers },
      ...(agent !== undefined && { agent }),
    })
    req.on('error', reject)
    req.on('response', (res) => {
      const parts: Buffer[] = []
      res.on('data', (part: Buffer) => parts.push(part))
      res.on('error', reject)
      res.on('end', () => {
        resolve({ res, body: Buffer.concat(parts), isReused: req.reusedSocket })
      })
    })
    for (const part of body ?? []) req.write(part)
    req.end()
  })
}

const [here, there] = relays.map(({ createSessionId }) => createSessionId()) as [string, string]

test('ids name their worker, and cannot be guessed', () => {
  expect(here).toMatch(/^1-[\w-]{24}$/)
  expect(there).toMatch(/^2-[\w-]{24}$/)
  expect(relays[0]!.createSessionId()).not.toBe(here)
})

test.each([
  ['text in two-byte and four-byte characters', Buffer.from('häß 📦'.repeat(40_000))],
  ['bytes', randomBytes(700_000)],
  ['nothing', Buffer.alloc(0)],
])('a body passes in pieces: %s', async (_name, whole) => {
  // Borders of pieces fall into characters.
  const body: Buffer[] = []
  for (let at = 0; at < whole.length; at += 7919) body.push(whole.subarray(at, at + 7919))

  const passed = await ask(pathOf(there), { body })

  expect(passed.res.statusCode).toBe(207)
  expect(passed.res.statusMessage).toBe('As it was')
  expect(passed.res.headers).toMatchObject({
    'x-worker': '2',
    'x-length': String(whole.length),
    'x-twice': 'a, b',
  })
  const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  expect(hash(passed.body)).toBe(hash(whole))
})

test('one connection carries requests of sessions of several workers', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const workers: unknown[] = []
  let reused = 0
  for (const id of [here, there, here, there, there]) {
    const { res, isReused } = await ask(pathOf(id), { agent, body: [Buffer.from('x')] })
    workers.push(res.headers['x-worker'])
    if (isReused) reused++
  }
  agent.destroy()

  expect(workers).toEqual(['1', '2', '1', '2', '2'])
  expect(reused).toBe(4)
})

test("the owner sees the client's address, and no client can claim one", async () => {
  const headers = { 'x-messagebox-address': '192.0.2.1', 'X-Other': 'kept', expect: '100-continue' }
  await ask(pathOf(there), { headers })
  await ask(pathOf(here), { headers })

  const [passed, direct] = arrived.slice(-2)
  expect(passed).toMatchObject({ worker: 2, address: '127.0.0.1', headers: { 'x-other': 'kept' } })
  expect(passed!.headers).not.toHaveProperty('x-messagebox-address')
  expect(direct).toMatchObject({ worker: 1, address: '127.0.0.1' })
})

test.each([
  ['the last of several ids', `${pathOf('nonsense')}&sid=2-x`, '2'],
  ['an id in percent-encoding', '/socket.io/?s%69d=%32-x', '2'],
  ['doubled slashes', '//socket.io//?sid=2-x', '2'],
  ['a whole URL', 'http://127.0.0.1/socket.io/?sid=2-x', '2'],
  ['no id', '/socket.io/?EIO=4', '1'],
  ['an id of no worker', pathOf('4-x'), '1'],
  ['an id of a worker that does not run', pathOf('3-x'), '1'],
  ['an id without a number', pathOf('-2-x'), '1'],
  ['another path', '/sendMessage?sid=2-x', '1'],
])('%s', async (_name, path, worker) => {
  const { res } = await ask(path)
  expect(res.headers['x-worker']).toBe(worker)
})

test('a worker that does not run leaves the body to the one that answers', async () => {
  const body = randomBytes(100_000)
  const answered = await ask(pathOf('3-x'), { body: [body] })
  expect(answered.res.headers['x-worker']).toBe('1')
  expect(answered.body.equals(body)).toBe(true)
})

test('the owner learns that a client has left', async () => {
  const req = request({ port: ports[0]!, host: '127.0.0.1', path: pathOf(there, '&slow') })
  req.on('error', () => {})
  req.end()
  const before = arrived.length
  await until(() => arrived.length > before)

  req.destroy()

  await until(() => arrived.at(-1)!.aborted)
})

test('a client learns that the owner has ended its connection', async () => {
  const before = arrived.length
  const lost = expect(ask(pathOf(there, '&slow'))).rejects.toThrow()
  await until(() => arrived.length > before)

  servers[3]!.closeAllConnections()

  await lost
})

test.each([
  ['GET', 'Trailer: x'],
  ['GET', 'Connection: te, upgrade-later\r\nTE: trailers\r\nProxy-Connection: close'],
  ['POST', 'Trailer: x\r\nContent-Length: 0'],
])('a %s with "%s" is passed on, and does not end the worker', async (method, headers) => {
  const socket = connect(ports[0]!, '127.0.0.1')
  socket.write(`${method} ${pathOf('2-trailer')} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  expect(answer.toString('latin1')).toMatch(/^HTTP\/1.1 207 As it was\r\nX-Worker: 2\r\n/)
})

test('a worker that stops ends the polls that it passes on', async () => {
  const before = arrived.length
  const lost = expect(ask(pathOf(there, '&slow'))).rejects.toThrow()
  await until(() => arrived.length > before)

  relays[0]!.close()

  await lost
  expect(existsSync(relays[1]!.path)).toBe(true)
})
