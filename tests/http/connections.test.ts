import { beforeAll, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { NativeWallet, type AuthWallet } from '../../src/auth/wallet'
import { Secret } from '../../src/secret'
import { startServer, type TestServer } from '../helpers/server'
import { handshake, post } from '../helpers/signedRequests'

let running: TestServer

beforeAll(async () => { running = await startServer({ env: { ENABLE_WEBSOCKETS: 'true' } }) })

/** What the server says to these bytes before it, or the timeout, ends the connection. */
async function tell (text: string): Promise<string> {
  return await new Promise(resolve => {
    const socket = connect(running.server.port, '127.0.0.1', () => { socket.write(text) })
    let answer = ''
    socket.setTimeout(3000, () => socket.destroy())
    socket.on('data', data => { answer += String(data) })
    socket.on('error', () => {})
    socket.on('close', () => { resolve(answer) })
  })
}

test.each(['h2c', 'websocket'])('a request that asks for an upgrade to %s is answered', async protocol => {
  const answer = await tell(`GET /health HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: ${protocol}\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
})

test('one that has a body is refused', async () => {
  const answer = await tell('POST /sendMessage HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\n{}')
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer).toContain('ERR_BAD_REQUEST')
})

test('a connection with too many requests unanswered is ended', async () => {
  const answer = await tell('GET /ready HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(200))
  expect(answer.match(/HTTP\/1\.1 200/g)?.length ?? 0).toBeLessThan(200)
  expect((await fetch(`${running.origin}/ready`)).status).toBe(200)
})

test('large bodies whose signatures are not checked yet share a budget; small ones always get through', async () => {
  const session = await handshake(running.origin)
  const head = (length: number): string => [
    'POST /listMessages HTTP/1.1', 'host: x', 'content-type: application/json', `content-length: ${length}`,
    'x-bsv-auth-version: 0.1', `x-bsv-auth-identity-key: ${session.identityKey}`, `x-bsv-auth-nonce: ${Buffer.alloc(32).toString('base64')}`,
    `x-bsv-auth-your-nonce: ${session.serverNonce}`, `x-bsv-auth-request-id: ${Buffer.alloc(32).toString('base64')}`, 'x-bsv-auth-signature: 00', '', ''
  ].join('\r\n')
  const sockets = await Promise.all(Array.from({ length: 25 }, async () => await new Promise<ReturnType<typeof connect>>(resolve => {
    const socket = connect(running.server.port, '127.0.0.1', () => { socket.write(head(10_000_000), () => { resolve(socket) }) })
    socket.on('error', () => {})
  })))
  const answers = await Promise.all([tell(head(10_000_000)), tell(head(10_000_000)), tell(`${head(2)}{}`)])
  sockets.forEach(socket => { socket.destroy() })

  expect(answers.filter(answer => answer.includes('ERR_SERVER_BUSY')).length).toBeGreaterThan(0)
  expect(answers[2]).toMatch(/^HTTP\/1\.1 401 /)
})

test('too large headers are named as such', async () => {
  const answer = await tell(`GET /health HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(100_000)}\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1\.1 431 /)
  expect(answer).toContain('ERR_HEADERS_TOO_LARGE')
})

test('a method that a path does not answer comes with those that it does', async () => {
  const response = await fetch(`${running.origin}/sendMessage`)
  expect(response.status).toBe(405)
  expect(response.headers.get('allow')).toBe('POST')
})

test('a connection on which nothing was ever said does not hold up the end', async () => {
  const { server } = await startServer()
  const socket = connect(server.port, '127.0.0.1')
  await new Promise<void>(resolve => socket.once('connect', () => { resolve() }))
  const closed = new Promise<void>(resolve => socket.once('close', () => { resolve() }))
  // The server has it as well once it has answered somebody who came later.
  await fetch(`http://127.0.0.1:${server.port}/health`)
  const since = Date.now()
  await server.stop()

  expect(Date.now() - since).toBeLessThan(4000)
  await closed
})

test('a wallet that cannot sign fails the request, not the server', async () => {
  const wallet = new NativeWallet(new Secret(randomBytes(32).toString('hex')))
  let broken = false
  const frail: AuthWallet = {
    identityKey: wallet.identityKey,
    signHash: async (hash, key) => broken ? await Promise.reject(new Error('the wallet is away')) : wallet.signHash(hash, key),
    verifyHash: (hash, signature, key) => wallet.verifyHash(hash, signature, key),
    createHmac: (data, key) => wallet.createHmac(data, key)
  }
  const { origin } = await startServer({ overrides: { wallet: frail } })
  const session = await handshake(origin)
  broken = true
  const answer = await post(session, '/listMessages', { messageBox: 'inbox' })
  broken = false

  expect(answer).toMatchObject({ status: 500, verified: false, body: { code: 'ERR_INTERNAL' } })
  expect(await post(session, '/listMessages', { messageBox: 'inbox' })).toMatchObject({ status: 200, verified: true })
})
