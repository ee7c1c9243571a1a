/** Attacks that the live layer was once vulnerable to. */
import { expect, test } from '@jest/globals'
import { PrivateKey } from '@bsv/sdk'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { lightSocket, startLive, until } from '../../tools/clients/live'
import { handshake, post, sign } from '../../tools/clients/signedRequests'

async function alive(origin: string): Promise<void> {
  expect((await fetch(`${origin}/health`)).status).toBe(200)
}

test('a message id nested 100,000 deep is rejected, and its socket still works', async () => {
  const { origin } = await startLive()
  const socket = await lightSocket(origin).authenticate()
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  socket.raw.emit(
    'authMessage',
    socket.sign(
      `{"eventName":"sendMessage","data":{"roomId":"x","message":{"messageId":${deep}}}}`,
    ),
  )
  expect(await socket.next('sendMessageAck-x')).toEqual({
    status: 'error',
    code: 'ERR_INVALID_ROOM',
    description: expect.any(String),
  })

  socket.emit('joinRoom', `${socket.identityKey}-inbox`)
  expect(await socket.next('joinedRoom')).toEqual({ roomId: `${socket.identityKey}-inbox` })
})

test('thousands of namespace connects in one poll create no sockets', async () => {
  const { origin } = await startLive()
  const open = await fetch(`${origin}/socket.io/?EIO=4&transport=polling`)
  const { sid } = JSON.parse((await open.text()).slice(1)) as { sid: string }
  const before = process.memoryUsage().heapUsed
  await fetch(`${origin}/socket.io/?EIO=4&transport=polling&sid=${sid}`, {
    method: 'POST',
    body: '40\x1e'.repeat(50_000) + '40',
  }).catch(() => {})

  await alive(origin)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100_000_000)
  // The connection has ended.
  expect((await fetch(`${origin}/socket.io/?EIO=4&transport=polling&sid=${sid}`)).status).toBe(400)
})

test('a socket that never authenticated cannot recover its connection', async () => {
  const { origin } = await startLive({ live: { silenceMs: 10 } })
  const socket = lightSocket(origin, {
    options: { query: { identityKey: 'rubbish' }, reconnectionDelay: 10 },
  })
  socket.raw.off('authMessage')
  await new Promise<void>((resolve) =>
    socket.raw.once('authMessage', () => {
      resolve()
    }),
  )
  socket.raw.io.engine.close()
  await new Promise<void>((resolve) =>
    socket.raw.once('connect', () => {
      resolve()
    }),
  )

  expect(socket.raw.recovered).toBe(false)
})

test('an authenticated socket can recover its connection', async () => {
  const { origin } = await startLive()
  const socket = await lightSocket(origin, { options: { reconnectionDelay: 10 } }).authenticate()
  socket.raw.io.engine.close()
  await new Promise<void>((resolve) =>
    socket.raw.once('connect', () => {
      resolve()
    }),
  )

  expect(socket.raw.recovered).toBe(true)
})

test('a room joined under many spellings counts as one membership', async () => {
  const { origin } = await startLive()
  const socket = await lightSocket(origin).authenticate()
  for (let blanks = 0; blanks < 50; blanks++) {
    socket.emit('joinRoom', `${socket.identityKey}-a${' '.repeat(blanks)}`)
    await socket.next('joinedRoom')
  }
  const before = socket.frames
  socket.emit('sendMessage', {
    roomId: `${socket.identityKey}-a`,
    message: { messageId: '1', recipient: socket.identityKey, body: 'x' },
  })
  await socket.next(`sendMessage-${socket.identityKey}-a${' '.repeat(49)}`)
  socket.emit('leaveRoom', `${socket.identityKey}-a`)
  await socket.next('leftRoom')

  expect(socket.frames - before).toBe(3) // the ack, the message, leftRoom
})

test('a room name that is too long is rejected, trailing spaces included', async () => {
  const { origin } = await startLive()
  const socket = await lightSocket(origin).authenticate()
  socket.emit('joinRoom', `${socket.identityKey}-a${' '.repeat(10_000)}`)
  expect(await socket.next('joinFailed')).toEqual({ reason: expect.any(String) })
})

test('a large message sent over HTTP does not disconnect its recipient', async () => {
  const { origin } = await startLive()
  const victim = await lightSocket(origin, { options: { reconnection: false } }).authenticate()
  victim.emit('joinRoom', `${victim.identityKey}-inbox`)
  await victim.next('joinedRoom')
  const stranger = await handshake(origin)
  for (const [messageId, size] of [
    ['huge', 1_500_000],
    ['large', 1_000_000],
    ['small', 10],
  ] as const) {
    const { status } = await post(stranger, '/sendMessage', {
      message: {
        recipient: victim.identityKey,
        messageBox: 'inbox',
        messageId,
        body: 'x'.repeat(size),
      },
    })
    expect(status).toBe(200)
  }

  const heard = [
    await victim.next(`sendMessage-${victim.identityKey}-inbox`),
    await victim.next(`sendMessage-${victim.identityKey}-inbox`),
  ]
  // The message that is too large to be pushed stays in the box.
  expect(heard).toMatchObject([{ messageId: 'large' }, { messageId: 'small' }])
  expect(victim.raw.connected).toBe(true)
})

test("a handshake under the server's own identity is rejected", async () => {
  const { origin, server } = await startLive()
  const response = await fetch(`${origin}/.well-known/auth`, {
    method: 'POST',
    body: JSON.stringify({
      version: '0.1',
      messageType: 'initialRequest',
      identityKey: server.context.serverKey.identityKey,
      initialNonce: randomBytes(48).toString('base64'),
    }),
  })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ code: 'ERR_INVALID_AUTH_MESSAGE' })
})

test('a request signed for HTTP is rejected on a socket and still works over HTTP', async () => {
  const { origin } = await startLive({ live: { silenceMs: 60_000 } })
  const session = await handshake(origin, PrivateKey.fromRandom())
  const { url, init } = await sign(session, {
    target: '/listMessages',
    headers: { 'content-type': 'application/json' },
    body: '{"messageBox":"inbox"}',
  })
  const socket = await lightSocket(origin).authenticate()
  const header = (name: string): string => init.headers[`x-bsv-auth-${name}`]!
  socket.raw.emit('authMessage', {
    version: '0.1',
    messageType: 'general',
    identityKey: session.identityKey,
    nonce: header('nonce'),
    yourNonce: header('your-nonce'),
    payload: [...Buffer.from(String(init.body))],
    signature: [...Buffer.from(header('signature'), 'hex')],
  })
  socket.emit('joinRoom', `${socket.identityKey}-inbox`)
  await socket.next('joinedRoom')

  expect((await fetch(url, init as RequestInit)).status).toBe(200)
})

test('connections reset during the admission check do not harm the server', async () => {
  let asked = 0
  const { origin, server } = await startLive()
  server.context.limits.perAddress.consume = async () => {
    asked++
    await pause(50)
  }
  const sockets = Array.from({ length: 50 }, () => {
    const socket = connect(Number(new URL(origin).port), '127.0.0.1').on('error', () => {})
    socket.write(
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    return socket
  })
  await until(() => asked === sockets.length)

  for (const socket of sockets) socket.resetAndDestroy()
  await pause(100)

  await alive(origin)
})

test('a failed admission check rejects only its own connection', async () => {
  let broken = true
  const { origin, server } = await startLive()
  server.context.limits.perAddress.consume = async () => {
    if (broken) throw new TypeError('broken')
  }

  expect((await fetch(`${origin}/socket.io/?EIO=4&transport=polling`)).status).toBe(500)
  broken = false
  await lightSocket(origin).authenticate()
})

test('a socket that disconnects while its events wait leaves no subscription', async () => {
  const { origin, server } = await startLive({ env: { RATE_LIMIT_IDENTITY: '1000' } })
  const { perIdentity } = server.context.limits
  const consume = perIdentity.consume.bind(perIdentity)
  perIdentity.consume = async (key) => {
    await pause(100)
    await consume(key)
  }
  for (let i = 0; i < 3; i++) {
    const socket = await lightSocket(origin, { options: { reconnection: false } }).authenticate()
    socket.emit('joinRoom', `${socket.identityKey}-inbox`)
    // A client could recover after its transport closed; after a disconnect it cannot.
    socket.raw.disconnect()
  }
  await pause(400)

  expect(server.context.hub.size).toBe(0)
})

test('unfinished frames use no more than the memory of their address', async () => {
  const { origin } = await startLive()
  const begun = Buffer.alloc(14)
  begun.writeUInt16BE(0x81ff)
  begun.writeBigUInt64BE(15_900_000n, 2)
  const sockets = Array.from({ length: 10 }, () => {
    const socket = connect(Number(new URL(origin).port), '127.0.0.1').on('error', () => {})
    socket.write(
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    socket.once('data', () => {
      socket.write(begun)
      socket.write(Buffer.alloc(12_000_000))
      socket.resume()
    })
    return socket
  })

  // An address may use 64 MiB, which is a little more than five times 12 MB.
  await until(() => sockets.filter((socket) => socket.closed).length >= 4)
  await lightSocket(origin).authenticate()
  sockets.forEach((socket) => socket.destroy())
})

test('a complete large frame releases that memory', async () => {
  const { origin } = await startLive()
  const socket = await lightSocket(origin).authenticate()
  const roomId = `${socket.identityKey}-inbox`

  for (let i = 0; i < 18; i++) {
    socket.emit('sendMessage', {
      roomId,
      message: { messageId: `id ${i}`, recipient: socket.identityKey, body: 'x'.repeat(1_000_000) },
    })
    expect(await socket.next(`sendMessageAck-${roomId}`)).toMatchObject({ status: 'success' })
  }
})

test.each<[string, (socket: ReturnType<typeof lightSocket>) => void]>([
  [
    'handshakes',
    (socket) => {
      socket.raw.emit('authMessage', {
        version: '0.1',
        messageType: 'initialRequest',
        identityKey: socket.identityKey,
        initialNonce: randomBytes(48).toString('base64'),
      })
    },
  ],
  [
    'unknown events',
    (socket) => {
      socket.emit('unknown', {})
    },
  ],
  [
    'sends',
    (socket) => {
      socket.emit('sendMessage', {
        roomId: `${socket.identityKey}-inbox`,
        message: {
          messageId: randomBytes(8).toString('hex'),
          recipient: socket.identityKey,
          body: 'hello',
        },
      })
    },
  ],
])(
  'the server closes an authenticated socket that keeps sending %s over its rate limit',
  async (_name, say) => {
    const { origin } = await startLive({ env: { RATE_LIMIT_IDENTITY: '10' } })
    const socket = await lightSocket(origin, { options: { reconnection: false } }).authenticate()

    for (let i = 0; i < 200; i++) say(socket)

    await until(() => !socket.raw.connected)
    // The number of answers to it is limited, too.
    expect(socket.frames).toBeLessThan(80)
  },
)
