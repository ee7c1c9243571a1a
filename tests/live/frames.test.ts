import { beforeAll, describe, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import pino from 'pino'
import { NativeServerKey, type ServerKey } from '../../src/auth/serverKey'
import { ApiError } from '../../src/contract/errors'
import { Secret } from '../../src/lib/secret'
import { messagesIn } from '../../tools/clients/caller'
import type { LightSocket } from '../../tools/clients/lightSocket'
import { lightSocket, startLive, until } from '../../tools/clients/live'
import { startServer, type TestServer } from '../../tools/servers/server'

let running: TestServer
let innocent: LightSocket

beforeAll(async () => {
  running = await startLive()
  innocent = await lightSocket(running.origin).authenticate()
})

async function stillWorks(): Promise<void> {
  innocent.emit('joinRoom', `${innocent.identityKey}-inbox`)
  await innocent.next('joinedRoom')
}

const deep = (depth: number): unknown => {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = [value]
  return value
}

describe('invalid frames end neither the process nor another connection', () => {
  test.each<[string, (socket: LightSocket) => unknown]>([
    ['null', () => null],
    ['a text', () => 'rubbish'],
    ['a number', () => 7],
    ['an array', () => [1, 2, 3]],
    ['an empty object', () => ({})],
    ['bytes', () => randomBytes(100)],
    [
      'another version',
      (socket) => ({ ...socket.sign({ eventName: 'x', data: 1 }), version: '0.2' }),
    ],
    ['an unknown type', () => ({ version: '0.1', messageType: 'rubbish' })],
    [
      'a handshake without a key',
      () => ({ version: '0.1', messageType: 'initialRequest', initialNonce: 'abc' }),
    ],
    [
      'an answer without a handshake',
      (socket) => ({
        version: '0.1',
        messageType: 'initialResponse',
        identityKey: socket.identityKey,
        initialNonce: 'a',
        yourNonce: 'b',
        signature: [1],
      }),
    ],
    [
      'a request for certificates',
      (socket) => ({
        version: '0.1',
        messageType: 'certificateRequest',
        identityKey: socket.identityKey,
      }),
    ],
    [
      'an unknown session',
      (socket) => ({
        ...socket.sign({ eventName: 'x', data: 1 }),
        yourNonce: randomBytes(48).toString('base64'),
      }),
    ],
    [
      'no signature',
      (socket) => ({ ...socket.sign({ eventName: 'x', data: 1 }), signature: undefined }),
    ],
    [
      'a signature that is a text',
      (socket) => ({ ...socket.sign({ eventName: 'x', data: 1 }), signature: 'deadbeef' }),
    ],
    [
      'a payload that was not signed',
      (socket) => ({ ...socket.sign({ eventName: 'x', data: 1 }), payload: [123, 125] }),
    ],
    [
      'a deeply nested payload',
      (socket) => ({ ...socket.sign({ eventName: 'x', data: 1 }), payload: deep(3000) }),
    ],
    ['a payload that is not JSON', (socket) => socket.sign('no json')],
    ['a payload that is not an event', (socket) => socket.sign([1])],
    ['an event whose name is a number', (socket) => socket.sign({ eventName: 7, data: 1 })],
    [
      'an event that Socket.IO reserves',
      (socket) => socket.sign({ eventName: 'disconnect', data: 'fooled' }),
    ],
  ])('%s', async (_name, frameOf) => {
    const socket = await lightSocket(running.origin).authenticate()
    socket.raw.emit('authMessage', frameOf(socket))

    // The socket itself also stays open: the server tolerates one fault.
    socket.emit('joinRoom', `${socket.identityKey}-inbox`)
    expect(await socket.next('joinedRoom')).toEqual({ roomId: `${socket.identityKey}-inbox` })
    await stillWorks()
  })

  test('too many invalid frames close the socket', async () => {
    const socket = await lightSocket(running.origin).authenticate()
    for (let i = 0; i < 20; i++) socket.raw.emit('authMessage', null)
    await socket.closed()
    await stillWorks()
  })

  test('too many unsigned events close the socket', async () => {
    const socket = lightSocket(running.origin)
    for (let i = 0; i < 20; i++) socket.raw.emit('joinRoom', 'x')
    await socket.closed()
    await stillWorks()
  })

  test("a frame over the transport's limit closes the socket", async () => {
    const socket = await lightSocket(running.origin, {
      options: { reconnection: false },
    }).authenticate()
    socket.raw.emit('authMessage', 'x'.repeat(31 * 1024 * 1024))
    await socket.closed()
    await stillWorks()
  })

  test('packets that are not Socket.IO close the connection', async () => {
    const socket = await lightSocket(running.origin, {
      options: { reconnection: false },
    }).authenticate()
    const { engine } = socket.raw.io
    engine.write('9rubbish')
    await socket.closed()
    await stillWorks()
  })
})

test('the server closes a socket that does not authenticate', async () => {
  const { origin } = await startLive({ live: { proofTimeoutMs: 300 } })
  const silent = lightSocket(origin, { options: { reconnection: false } })
  silent.raw.off('authMessage')
  const proven = await lightSocket(origin).authenticate()
  await new Promise((resolve) => silent.raw.once('disconnect', resolve))

  expect(proven.raw.connected).toBe(true)
})

test('the server closes a client that does not read; its messages stay stored', async () => {
  const { origin, server } = await startLive({ live: { maxUnsentBytes: 2 * 1024 * 1024 } })
  const [slow, sender] = await Promise.all([
    lightSocket(origin, { options: { reconnection: false } }).authenticate(),
    lightSocket(origin).authenticate(),
  ])
  const roomId = `${slow.identityKey}-inbox`
  slow.emit('joinRoom', roomId)
  await slow.next('joinedRoom')
  // The client's socket stops reading, as on a stalled connection.
  const transport = slow.raw.io.engine.transport as unknown as {
    ws: { _socket: { pause: () => void; resume: () => void } }
  }
  transport.ws._socket.pause()
  let sent = 0
  while (server.context.hub.size > 0 && sent < 200) {
    sender.emit('sendMessage', {
      roomId,
      message: {
        messageId: String(sent++),
        recipient: slow.identityKey,
        body: 'x'.repeat(100_000),
      },
    })
    await sender.next(`sendMessageAck-${roomId}`)
  }

  expect(sent).toBeLessThan(200)
  const messages = await messagesIn(server.context.mailbox, slow.identityKey)
  expect(messages).toHaveLength(sent)
})

test.each([
  ['an unexpected error', new Error('the key is away')],
  ['an error with a code of the API', new ApiError('ERR_SERVER_BUSY')],
])('%s in the server is logged and does not count against the client', async (_name, error) => {
  const native = new NativeServerKey(new Secret(randomBytes(32).toString('hex')))
  let isBroken = false
  const serverKey: ServerKey = {
    identityKey: native.identityKey,
    signHash: (hash, key) => native.signHash(hash, key),
    verifyHash(hash, signature, key) {
      if (isBroken) throw error
      return native.verifyHash(hash, signature, key)
    },
    createHmac: (data, key) => native.createHmac(data, key),
    derivePublicKey: (key, forSelf) => native.derivePublicKey(key, forSelf),
  }
  const log: string[] = []
  const { origin } = await startServer({
    env: { ENABLE_WEBSOCKETS: 'true' },
    overrides: { serverKey, logger: pino({ level: 'error' }, { write: (line) => log.push(line) }) },
  })
  const socket = await lightSocket(origin).authenticate()
  const room = `${socket.identityKey}-inbox`
  isBroken = true
  for (let i = 0; i < 15; i++) socket.emit('joinRoom', room)
  await until(() => log.length >= 15)
  isBroken = false

  socket.emit('joinRoom', room)

  expect(await socket.next('joinedRoom')).toEqual({ roomId: room })
  expect(log.every((line) => line.includes(error.message))).toBe(true)
})
