/** Only a signed event on the connection itself joins a room. A reconnect restores the rooms. */
import { MessageBoxClient } from '@bsv/message-box-client'
import { PrivateKey, ProtoWallet } from '@bsv/sdk'
import { expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { io } from 'socket.io-client'
import { newClient } from '../../tools/clients/clients'
import type { LightSocket } from '../../tools/clients/lightSocket'
import { lightSocket, liveClient, startLive, until } from '../../tools/clients/live'
import { onEnd, type TestServer } from '../../tools/servers/server'
import { TcpProxy } from '../../tools/proxies/tcpProxy'

async function join(socket: LightSocket, box: string): Promise<string> {
  const roomId = `${socket.identityKey}-${box}`
  socket.emit('joinRoom', roomId)
  await socket.next('joinedRoom')
  return roomId
}

/** Sends one message to each box in turn, from a new sender. */
async function sendTo(
  { host }: Pick<TestServer, 'host'>,
  recipient: string,
  ...boxes: string[]
): Promise<void> {
  const sender = await newClient(host)
  for (const messageBox of boxes)
    await sender.client.sendMessage(
      { recipient, messageBox, body: `to ${messageBox}`, skipEncryption: true },
      host,
    )
}

/** Private fields of Socket.IO's client: what it shows the server of its earlier connection. */
interface Shown {
  _pid?: string
  _lastOffset?: string
}

test('a handshake that a hostile host relays joins no room', async () => {
  const server = await startLive({ live: { silenceMs: 50 } })
  const heard: unknown[] = []
  const attacker = io(server.origin, { transports: ['websocket'], forceNew: true })
  onEnd(() => {
    attacker.close()
  })
  const challenge = new Promise<object>((resolve) => {
    attacker.on('authMessage', (frame: { messageType: string }) => {
      if (frame.messageType === 'initialRequest') resolve(frame)
      else heard.push(frame)
    })
  })
  // The attacker's host relays the server's handshake to the victim, and the answer back.
  const relayed: object[] = []
  const hostile = createServer((request, response) => {
    let text = ''
    request
      .on('data', (data) => {
        text += String(data)
      })
      .on('end', () => {
        const message = JSON.parse(text) as { messageType: string }
        if (message.messageType !== 'initialRequest') {
          relayed.push(message)
          attacker.emit('authMessage', message)
          return void response.end('{}')
        }
        void challenge.then((frame) => response.end(JSON.stringify(frame)))
      })
  })
  await new Promise<void>((resolve) => {
    hostile.listen(0, '127.0.0.1', resolve)
  })
  onEnd(() => {
    hostile.closeAllConnections()
    hostile.close()
  })
  const key = PrivateKey.fromRandom()
  const victim = new MessageBoxClient({
    host: server.host,
    walletClient: new ProtoWallet(key) as never,
    networkPreset: 'local',
  })
  const identityKey = key.toPublicKey().toString()

  void victim
    .listMessages({
      messageBox: 'inbox',
      host: `http://127.0.0.1:${(hostile.address() as AddressInfo).port}`,
    })
    .catch(() => {})
  await until(() => relayed.length > 0)
  // Once the server answers this later handshake, it has handled the relayed answer.
  attacker.emit('authMessage', {
    version: '0.1',
    messageType: 'initialRequest',
    identityKey: PrivateKey.fromRandom().toPublicKey().toString(),
    initialNonce: randomBytes(48).toString('base64'),
  })
  await until(() => heard.length === 1)
  await sendTo(server, identityKey, 'inbox', 'other', 'payment_inbox')
  attacker.emit('authMessage', {
    version: '0.1',
    messageType: 'initialRequest',
    identityKey: PrivateKey.fromRandom().toPublicKey().toString(),
    initialNonce: randomBytes(48).toString('base64'),
  })
  await until(() => heard.length === 2)

  expect(heard.map((frame) => (frame as { messageType: string }).messageType)).toEqual([
    'initialResponse',
    'initialResponse',
  ])
  expect(server.server.context.hub.size).toBe(0)
})

test("a relay with the private id of the victim's connection joins no room", async () => {
  const server = await startLive({ live: { silenceMs: 50 } })
  const victim = await lightSocket(server.origin).authenticate()
  await join(victim, 'inbox')
  const { _pid: pid } = victim.raw as unknown as Shown
  await server.restart()
  const relay = lightSocket(server.origin, { options: { auth: { pid, offset: '1' } } })
  // The relay gets the victim's answers to the server's handshakes.
  Object.assign(relay, { wallet: victim.wallet })
  await until(() => relay.serverNonce !== '')
  await relay.handshake()

  await sendTo(server, victim.identityKey, 'inbox')
  relay.emit('leaveRoom', `${victim.identityKey}-inbox`)
  await relay.next('leftRoom')
  expect(relay.heard).toEqual([])
})

test('after a restart, a silent client hears exactly the rooms it had joined', async () => {
  const server = await startLive()
  const listener = await lightSocket(server.origin, {
    options: { reconnectionDelay: 10 },
  }).authenticate()
  const rooms = [
    await join(listener, 'one'),
    await join(listener, 'two-parts'),
    await join(listener, 'left'),
  ]
  listener.emit('leaveRoom', rooms[2]!)
  await listener.next('leftRoom')
  const frames = listener.frames

  for (let restart = 0; restart < 3; restart++) {
    await server.restart()
    await until(() => server.server.context.hub.size === 2)
    await sendTo(server, listener.identityKey, 'one', 'left', 'never-joined', 'two-parts')
    expect(await listener.next(`sendMessage-${listener.identityKey}-two-parts`)).toMatchObject({
      body: 'to two-parts',
    })
    expect(listener.heard.splice(0)).toMatchObject(
      [{ eventName: rooms[0], data: { body: 'to one' } }].map(({ data, eventName }) => ({
        data,
        eventName: `sendMessage-${eventName!}`,
      })),
    )
  }
  expect(listener.frames).toBeGreaterThan(frames)
})

test('two restarts in a row restore the maximum number of rooms', async () => {
  const server = await startLive()
  const listener = await lightSocket(server.origin, {
    options: { reconnectionDelay: 10 },
  }).authenticate()
  let joined = 0
  for (; joined < 1000; joined++) {
    listener.emit('joinRoom', `${listener.identityKey}-${String(joined).padStart(60, 'x')}`)
    const answer = await listener.wait(
      ({ eventName }) => eventName === 'joinedRoom' || eventName === 'joinFailed',
    )
    if (answer.eventName === 'joinFailed') break
  }
  expect(joined).toBeGreaterThan(100)
  expect(joined).toBeLessThan(150)

  for (let restart = 0; restart < 2; restart++) {
    await server.restart()
    await until(() => server.server.context.hub.size === joined)
  }
  await sendTo(server, listener.identityKey, String(joined - 1).padStart(60, 'x'))
  expect(
    await listener.next(
      `sendMessage-${listener.identityKey}-${String(joined - 1).padStart(60, 'x')}`,
    ),
  ).toMatchObject({ body: expect.stringMatching(/^to x/) })
})

test.each<[string, (shown: string) => string]>([
  ['of another client', () => ''],
  ['altered', (shown) => `${shown.slice(0, -6)}AAAAAA`],
  ['truncated', (shown) => shown.slice(0, -8)],
])('the server ignores an invalid record of joined rooms: %s', async (_name, alter) => {
  const server = await startLive()
  const [victim, other] = [
    await lightSocket(server.origin).authenticate(),
    await lightSocket(server.origin).authenticate(),
  ]
  await Promise.all([join(victim, 'inbox'), join(other, 'inbox')])
  const { _lastOffset: shown = '' } = victim.raw as unknown as Shown
  const { _lastOffset: others = '' } = other.raw as unknown as Shown
  victim.raw.disconnect()
  await until(() => server.server.context.hub.size === 1)
  const altered = alter(shown)

  const again = lightSocket(server.origin, {
    key: Buffer.from(victim.privateKey, 'hex'),
    options: { auth: { pid: 'some', offset: altered === '' ? others : altered } },
  })
  await again.authenticate()
  again.emit('leaveRoom', `${again.identityKey}-inbox`)
  await again.next('leftRoom')
  expect(server.server.context.hub.size).toBe(1)
  // The unchanged record restores the room once the client has authenticated again.
  const right = await lightSocket(server.origin, {
    key: Buffer.from(victim.privateKey, 'hex'),
    options: { auth: { pid: 'some', offset: shown } },
  }).authenticate()
  expect(right.identityKey).toBe(victim.identityKey)
  await until(() => server.server.context.hub.size === 2)
})

test('a captured joinRoom with a valid signature joins no room from another socket', async () => {
  const server = await startLive()
  const victim = await lightSocket(server.origin).authenticate()
  // Captured before it arrived, so its nonce is unused, as if the replay guard had forgotten it.
  const captured = victim.sign({ eventName: 'joinRoom', data: `${victim.identityKey}-inbox` })
  const attacker = lightSocket(server.origin)
  const frames: Array<{ messageType: string }> = []
  attacker.raw.on('authMessage', (frame) => {
    frames.push(frame as { messageType: string })
  })
  attacker.raw.emit('authMessage', captured)

  // The server asks the new connection to prove the identity, which the attacker cannot.
  await until(() => frames.some(({ messageType }) => messageType === 'initialRequest'))
  await sendTo(server, victim.identityKey, 'inbox')
  await join(victim, 'other')
  expect(server.server.context.hub.size).toBe(1)
  expect(frames.filter(({ messageType }) => messageType === 'general')).toEqual([])
})

test('a client that reuses its session on a new connection authenticates there', async () => {
  const server = await startLive()
  const key = randomBytes(32)
  const first = await lightSocket(server.origin, { key }).authenticate()
  const second = lightSocket(server.origin, { key })
  await new Promise<void>((resolve) => second.raw.once('connect', resolve))
  Object.assign(second, { serverKey: first.serverKey, serverNonce: first.serverNonce })

  expect(await join(second, 'inbox')).toBe(`${first.identityKey}-inbox`)
})

test('after a change of network, the new connection delivers the missed messages', async () => {
  const server = await startLive()
  const line = new TcpProxy({ host: '127.0.0.1', port: server.server.port })
  await line.open()
  onEnd(async () => {
    await line.set('refuse')
  })
  const listener = await liveClient(`http://127.0.0.1:${line.port}`)
  const heard: unknown[] = []
  await listener.client.listenForLiveMessages({
    messageBox: 'inbox',
    onMessage: ({ body }) => {
      heard.push(body)
    },
  })
  await sendTo(server, listener.identityKey, 'inbox')
  await until(() => heard.length === 1)

  const sender = await newClient(server.host)
  // The client notices that its network is gone; the server does not.
  line.abandon()
  for (const body of ['missed', 'missed too'])
    await sender.client.sendMessage(
      { recipient: listener.identityKey, messageBox: 'inbox', body, skipEncryption: true },
      server.host,
    )

  await until(() => heard.length === 3)
  await sender.client.sendMessage(
    { recipient: listener.identityKey, messageBox: 'inbox', body: 'after', skipEncryption: true },
    server.host,
  )
  await until(() => heard.length === 4)
  expect(heard.slice(1)).toEqual(['missed', 'missed too', 'after'])
})

test('a private id recovers nothing until the client authenticates again', async () => {
  const server = await startLive()
  const victim = await lightSocket(server.origin, {
    options: { reconnection: false },
  }).authenticate()
  const roomId = await join(victim, 'inbox')
  const { _pid: pid, _lastOffset: offset } = victim.raw as unknown as Shown
  const thief = io(server.origin, {
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
    auth: { pid, offset },
  })
  onEnd(() => {
    thief.close()
  })
  const frames: Array<{ messageType: string }> = []
  thief.on('authMessage', (frame) => {
    frames.push(frame as { messageType: string })
  })
  await until(() => frames.length > 0)

  await sendTo(server, victim.identityKey, 'inbox')
  // A frame for the thief would come before the answer to this handshake.
  thief.emit('authMessage', {
    version: '0.1',
    messageType: 'initialRequest',
    identityKey: victim.identityKey,
    initialNonce: randomBytes(48).toString('base64'),
  })
  await until(() => frames.length > 1)
  expect(frames.map(({ messageType }) => messageType)).toEqual([
    'initialRequest',
    'initialResponse',
  ])
  thief.io.engine.close()

  const back = lightSocket(server.origin, {
    key: Buffer.from(victim.privateKey, 'hex'),
    options: { auth: { pid, offset } },
  })
  const missed = new Promise<string>((resolve) => {
    back.raw.on('authMessage', (frame: { messageType: string; payload: number[] }) => {
      if (frame.messageType === 'general') resolve(Buffer.from(frame.payload).toString())
    })
  })
  expect(JSON.parse(await missed)).toMatchObject({
    eventName: `sendMessage-${roomId}`,
    data: { body: 'to inbox' },
  })
})

test('a client that left a room stays out of it after a reconnect', async () => {
  const server = await startLive({ live: { silenceMs: 50 } })
  const proxy = new TcpProxy({ host: '127.0.0.1', port: server.server.port })
  await proxy.open()
  onEnd(async () => {
    proxy.cut()
    await proxy.set('refuse')
  })
  const before = await lightSocket(server.origin).authenticate()
  const roomId = await join(before, 'left')
  const { _lastOffset: offset } = before.raw as unknown as Shown
  const options = { auth: { offset }, reconnectionDelay: 20, reconnectionDelayMax: 50 }
  const socket = lightSocket(`http://127.0.0.1:${proxy.port}`, {
    key: Buffer.from(before.privateKey, 'hex'),
    options,
  })
  before.close()
  await until(() => socket.serverNonce !== '')
  socket.emit('leaveRoom', roomId)
  await socket.next('leftRoom')
  // From now on Socket.IO's client shows the record that the server sent last.
  socket.raw.auth = {}
  const back = new Promise((resolve) =>
    socket.raw.once('disconnect', () =>
      socket.raw.once('connect', () => {
        resolve(undefined)
      }),
    ),
  )
  proxy.cut()
  await back
  await join(socket, 'other')
  await sendTo(server, socket.identityKey, 'left', 'other')

  await socket.next(`sendMessage-${socket.identityKey}-other`)
  expect(socket.heard.map(({ eventName }) => eventName)).not.toContain(`sendMessage-${roomId}`)
})

test('joins that wait for authentication count against the limit of rooms', async () => {
  const { origin, server } = await startLive()
  const first = await lightSocket(origin).authenticate()
  const second = lightSocket(origin, { key: Buffer.from(first.privateKey, 'hex') })
  const [receive] = second.raw.listeners('authMessage') as Array<(frame: unknown) => void>
  const held: unknown[] = []
  second.raw.off('authMessage').on('authMessage', (frame) => held.push(frame))
  Object.assign(second, { serverNonce: first.serverNonce, serverKey: first.serverKey })
  for (let i = 0; i < 60; i++)
    second.emit('joinRoom', `${first.identityKey}-${String(i).padEnd(250, 'x')}`)
  await until(() => held.length > 0)
  second.raw.off('authMessage').on('authMessage', receive!)

  for (const frame of held) receive!(frame)
  for (let i = 0; i < 60; i++)
    await second.wait(({ eventName }) => ['joinedRoom', 'joinFailed'].includes(eventName))

  expect(server.context.hub.size).toBeLessThanOrEqual((8 * 1024) / 250)
  expect(server.context.hub.size).toBeGreaterThan(20)
})
