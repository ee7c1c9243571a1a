import { beforeAll, describe, expect, test } from '@jest/globals'
import { PrivateKey } from '@bsv/sdk'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { io } from 'socket.io-client'
import { messagesIn } from '../../tools/clients/caller'
import { authSocketUser, lightSocket, startLive } from '../../tools/clients/live'
import { onEnd, startServer, type TestServer } from '../../tools/servers/server'

let running: TestServer

beforeAll(async () => {
  running = await startLive()
})

const stranger = (): string => PrivateKey.fromRandom().toPublicKey().toString()

describe('the released @bsv/authsocket-client, event by event', () => {
  test('authenticated', async () => {
    const { socket, identityKey, next } = authSocketUser(running.origin)
    const success = next('authenticationSuccess')
    socket.emit('authenticated', { identityKey })
    expect(await success).toEqual({ status: 'success' })
  })

  test.each([
    ['another key', { identityKey: stranger() }],
    ['no key', {}],
    ['nothing', undefined],
    ['a number', { identityKey: 7 }],
  ])('authenticated with %s', async (_name, data) => {
    const { socket, next } = authSocketUser(running.origin)
    const failed = next('authenticationFailed')
    socket.emit('authenticated', data)
    expect(await failed).toEqual({ reason: expect.any(String) })
  })

  test('joinRoom, sendMessage, leaveRoom', async () => {
    const { socket, identityKey, next } = authSocketUser(running.origin)
    const roomId = `${identityKey}-my-box`
    const joined = next('joinedRoom')
    socket.emit('joinRoom', roomId)
    expect(await joined).toEqual({ roomId })

    const order: string[] = []
    const acked = next(`sendMessageAck-${roomId}`).then((data) => {
      order.push('ack')
      return data
    })
    const heard = next(`sendMessage-${roomId}`).then((data) => {
      order.push('message')
      return data
    })
    socket.emit('sendMessage', {
      roomId,
      message: { messageId: 'one', recipient: identityKey, body: 'hello' },
    })
    expect(await acked).toEqual({ status: 'success', messageId: 'one' })
    expect(await heard).toEqual({
      sender: identityKey,
      messageId: 'one',
      body: 'hello',
      messageBox: 'my-box',
      recipient: identityKey,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    })
    expect(order).toEqual(['ack', 'message'])

    const left = next('leftRoom')
    socket.emit('leaveRoom', roomId)
    expect(await left).toEqual({ roomId })
  })

  test('if the client names its key on connect, the server starts the handshake', async () => {
    const user = authSocketUser(running.origin, {
      query: { identityKey: 'to be replaced' },
      autoConnect: false,
    })
    const manager = (user.socket as unknown as { ioSocket: ReturnType<typeof io> }).ioSocket
    manager.io.opts.query = { identityKey: user.identityKey }
    const success = user.next('authenticationSuccess')
    manager.connect()
    expect(await success).toEqual({ status: 'success' })
  })
})

describe('rejected events', () => {
  test.each([
    ["another identity's room", () => `${stranger()}-inbox`],
    ['a room without a hyphen', (key: string) => key],
    ['a room without a box', (key: string) => `${key}-`],
    ['a room without a valid key', () => 'nobody-inbox'],
    ['a number', () => 7],
    ['nothing', () => undefined],
  ])('joinRoom and leaveRoom: %s', async (_name, roomOf: (key: string) => unknown) => {
    const socket = await lightSocket(running.origin).authenticate()
    socket.emit('joinRoom', roomOf(socket.identityKey))
    expect(await socket.next('joinFailed')).toEqual({ reason: expect.any(String) })
    socket.emit('leaveRoom', roomOf(socket.identityKey))
    expect(await socket.next('leaveFailed')).toEqual({ reason: expect.any(String) })
  })

  const message = { messageId: 'x', body: 'hello' }
  test.each<[string, string, (key: string) => { roomId: unknown; message?: unknown }]>([
    [
      'a room and a recipient that disagree',
      'ERR_INVALID_ROOM',
      (key) => ({ roomId: `${stranger()}-inbox`, message: { ...message, recipient: key } }),
    ],
    [
      'a malformed room',
      'ERR_INVALID_ROOM',
      (key) => ({ roomId: 'rubbish', message: { ...message, recipient: key } }),
    ],
    [
      'several recipients',
      'ERR_MESSAGEID_COUNT_MISMATCH',
      (key) => ({ roomId: `${key}-inbox`, message: { ...message, recipient: [key, stranger()] } }),
    ],
    ['no message', 'ERR_MESSAGE_REQUIRED', (key) => ({ roomId: `${key}-inbox` })],
    ['no recipient', 'ERR_RECIPIENT_REQUIRED', (key) => ({ roomId: `${key}-inbox`, message })],
    [
      'no id',
      'ERR_MESSAGEID_REQUIRED',
      (key) => ({ roomId: `${key}-inbox`, message: { body: 'x', recipient: key } }),
    ],
    [
      'a blank body',
      'ERR_INVALID_MESSAGE_BODY',
      (key) => ({ roomId: `${key}-inbox`, message: { ...message, body: ' ', recipient: key } }),
    ],
    [
      'a body over 1 MiB',
      'ERR_BODY_TOO_LARGE',
      (key) => ({
        roomId: `${key}-inbox`,
        message: { ...message, body: 'x'.repeat(1024 * 1024 + 1), recipient: key },
      }),
    ],
  ])('sendMessage: %s', async (_name, code, dataOf) => {
    const socket = await lightSocket(running.origin).authenticate()
    const data = dataOf(socket.identityKey)
    socket.emit('sendMessage', data)

    expect(await socket.next('messageFailed')).toEqual({ reason: expect.any(String) })
    expect(await socket.next(`sendMessageAck-${String(data.roomId)}`)).toEqual({
      status: 'error',
      code,
      description: expect.any(String),
      ...(code === 'ERR_BODY_TOO_LARGE' && { limit: 1024 * 1024 }),
      ...((data.message as { messageId?: string } | undefined)?.messageId !== undefined && {
        messageId: 'x',
      }),
    })
    const messages = await messagesIn(running.server.context.mailbox, socket.identityKey)
    expect(messages).toEqual([])
  })

  test('sendMessage: an id used by another sender', async () => {
    const [alice, mallory] = await Promise.all([
      lightSocket(running.origin).authenticate(),
      lightSocket(running.origin).authenticate(),
    ])
    const roomId = `${alice.identityKey}-inbox`
    const data = {
      roomId,
      message: { messageId: 'taken', recipient: alice.identityKey, body: 'x' },
    }
    alice.emit('sendMessage', data)
    expect(await alice.next(`sendMessageAck-${roomId}`)).toMatchObject({ status: 'success' })
    alice.emit('sendMessage', data)
    expect(await alice.next(`sendMessageAck-${roomId}`)).toMatchObject({ status: 'success' })
    mallory.emit('sendMessage', data)
    expect(await mallory.next(`sendMessageAck-${roomId}`)).toMatchObject({
      status: 'error',
      code: 'ERR_DUPLICATE_MESSAGE',
      messageId: 'taken',
    })
  })

  test('a plain Socket.IO client hears only that it must authenticate', async () => {
    const plain = io(running.origin, { forceNew: true, transports: ['websocket'] })
    onEnd(() => plain.close())
    const events: Array<[string, unknown]> = []
    plain.onAny((name: string, data: unknown) => {
      if (name !== 'authMessage') events.push([name, data])
    })
    const victim = await lightSocket(running.origin).authenticate()
    for (const [name, data] of Object.entries({
      authenticated: { identityKey: victim.identityKey },
      joinRoom: `${victim.identityKey}-inbox`,
      leaveRoom: `${victim.identityKey}-inbox`,
      sendMessage: {
        roomId: `${victim.identityKey}-inbox`,
        message: { messageId: 'plain', recipient: victim.identityKey, body: 'x' },
      },
    })) {
      plain.emit(name, data)
      await new Promise((resolve) => plain.once('authenticationFailed', resolve))
    }

    expect(events).toEqual(
      Array(4).fill(['authenticationFailed', { reason: expect.stringContaining('BRC-103') }]),
    )
    const messages = await messagesIn(running.server.context.mailbox, victim.identityKey)
    expect(messages).toEqual([])
  })
})

test('acks come in the order of the sends, even if an early one takes longer', async () => {
  const socket = await lightSocket(running.origin).authenticate()
  const roomId = `${socket.identityKey}-inbox`
  const ids = Array.from({ length: 60 }, (_, index) => `${index} ${randomBytes(4).toString('hex')}`)
  // The server stores large messages separately from small ones.
  ids.forEach((messageId, index) => {
    socket.emit('sendMessage', {
      roomId,
      message: {
        messageId,
        recipient: socket.identityKey,
        body: 'x'.repeat(index % 10 === 0 ? 700_000 : 10),
      },
    })
  })
  const acks: unknown[] = []
  for (let i = 0; i < ids.length; i++)
    acks.push(((await socket.next(`sendMessageAck-${roomId}`)) as { messageId: string }).messageId)

  expect(acks).toEqual(ids)
})

test('events of a room use the spelling in which the client joined it', async () => {
  const socket = await lightSocket(running.origin).authenticate()
  const roomId = `${socket.identityKey}- spaced `
  socket.emit('joinRoom', roomId)
  await socket.next('joinedRoom')
  socket.emit('sendMessage', {
    roomId: `${socket.identityKey}-spaced`,
    message: { messageId: 's', recipient: socket.identityKey, body: 'x' },
  })

  expect(await socket.next(`sendMessage-${roomId}`)).toMatchObject({
    messageBox: 'spaced',
    messageId: 's',
  })
})

describe('with live messaging off', () => {
  test.each(['/socket.io', '/socket.io/', '/socket.io/?EIO=4&transport=polling'])(
    '%s answers 404 and names ENABLE_WEBSOCKETS',
    async (path) => {
      const { origin } = await startServer()
      const response = await fetch(`${origin}${path}`)
      expect(response.status).toBe(404)
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(await response.json()).toEqual({
        status: 'error',
        code: 'ERR_NOT_FOUND',
        description: expect.stringContaining('ENABLE_WEBSOCKETS'),
      })
    },
  )
})

test('browsers may connect from other origins and private networks', async () => {
  for (const method of ['GET', 'OPTIONS']) {
    const response = await fetch(`${running.origin}/socket.io/?EIO=4&transport=polling`, {
      method,
      headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
    })
    expect(response.ok).toBe(true)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-allow-private-network')).toBe('true')
    await response.arrayBuffer()
  }
})

test.each([
  ['//socket.io/', ''],
  ['/socket.io/', 'http://box.example.com'],
])('a WebSocket at %s%s reaches the usual route', async (path, origin) => {
  const {
    server: { port },
  } = await startLive()
  const socket = connect(port, '127.0.0.1')
  onEnd(() => {
    socket.destroy()
  })
  socket.write(
    `GET ${origin}${path}?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
  )
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 101 /)
})

test('chunked polls do not block other requests', async () => {
  const {
    origin,
    server: { port },
  } = await startLive()
  const handshakes = await Promise.all(
    Array.from({ length: 5 }, async () =>
      (await (await fetch(`${origin}/socket.io/?EIO=4&transport=polling`)).text()).slice(1),
    ),
  )
  for (const { sid } of handshakes.map((text) => JSON.parse(text) as { sid: string })) {
    const socket = connect(port, '127.0.0.1')
    onEnd(() => {
      socket.destroy()
    })
    socket.write(
      `GET /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    )
  }
  const socket = connect(port, '127.0.0.1')
  onEnd(() => {
    socket.destroy()
  })
  const since = performance.now()
  socket.write(
    'POST /.well-known/auth HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  )
  expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 400 /)
  expect(performance.now() - since).toBeLessThan(5000)
})
