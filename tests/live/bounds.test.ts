/** Limits of connections: what clients may send before they authenticate, and may leave unread. */
import { AuthSocketClient } from '@bsv/authsocket-client'
import { PrivateKey, ProtoWallet, type WalletInterface } from '@bsv/sdk'
import { describe, expect, test } from '@jest/globals'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { newWallet, Session } from '../../tools/clients/session'
import { lightSocket, liveClient, startLive, until } from '../../tools/clients/live'
import { eventually, ServerProcess } from '../../tools/programs/processes'
import { createDatabase } from '../../tools/databases/databases'
import { onEnd, type TestServer } from '../../tools/servers/server'
import { handshake, post } from '../../tools/clients/signedRequests'
import { frame, Stranger } from '../../tools/siege/stranger'

const KIB = 1024
const MIB = 1024 * KIB

function strangerTo({ server }: TestServer): Stranger {
  const stranger = new Stranger(server.port, '127.0.0.1')
  onEnd(() => {
    stranger.end()
  })
  return stranger
}

async function poll(origin: string, sid: string, body: string): Promise<Response> {
  return await fetch(`${origin}/socket.io/?EIO=4&transport=polling&sid=${sid}`, {
    method: 'POST',
    body,
  })
}

/** The head of a WebSocket frame of this many bytes, masked with zeros. */
function head(bytes: number): Buffer {
  const head = Buffer.alloc(14)
  head.set([0x81, 0x80 | 127])
  head.writeBigUInt64BE(BigInt(bytes), 2)
  return head
}

/** Whether the server keeps a connection that was opened by polling. */
async function isOpen(origin: string, sid: string): Promise<boolean> {
  return (await poll(origin, sid, '6')).status === 200
}

/** The number of connections to a port that have a descriptor on the server's side. */
function connectionsOf(port: number): number {
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) =>
    readFileSync(file, 'utf8').split('\n').slice(1),
  )
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state, , , , , , inode]) => {
      return (
        local.endsWith(`:${port.toString(16).toUpperCase().padStart(4, '0')}`) &&
        state !== LISTENING &&
        inode !== '0'
      )
    }).length
}

const LISTENING = '0A'

const ended = async (socket: Socket): Promise<boolean> =>
  socket.destroyed ||
  (await Promise.race([
    once(socket.resume(), 'close').then(
      () => true,
      () => true,
    ),
    pause(5000, false),
  ]))

describe('before authentication', () => {
  test.each<[string, string, number]>([
    ['16 KiB', `42["x","${'x'.repeat(16 * KIB - 10)}"]`, 200],
    ['16 KiB and one byte', `42["x","${'x'.repeat(16 * KIB - 9)}"]`, 413],
    ['16 MB of packets', '42["authMessage"]\x1e'.repeat(900_000), 413],
    ['32 packets', Array.from({ length: 32 }, () => '6').join('\x1e'), 200],
    ['33 packets', Array.from({ length: 33 }, () => '6').join('\x1e'), 413],
  ])('a poll may have at most 16 KiB and 32 packets: %s', async (_name, body, status) => {
    const server = await startLive()
    const sid = await strangerTo(server).poll()
    expect((await poll(server.origin, sid, '40')).status).toBe(200)

    expect((await poll(server.origin, sid, body)).status).toBe(status)
    expect(await isOpen(server.origin, sid)).toBe(status === 200)
  })

  test('a frame may have at most 16 KiB', async () => {
    const server = await startLive()
    const stranger = strangerTo(server)
    const small = await stranger.webSocket()
    await stranger.write(small, frame('40'))
    await stranger.write(small, frame(`42["x","${'x'.repeat(16 * KIB - 9)}"]`))
    const large = await stranger.webSocket()
    await stranger.write(large, frame('40'))
    await stranger.write(large, frame(`42["x","${'x'.repeat(16 * KIB - 7)}"]`))

    expect(await ended(large)).toBe(true)
    expect(small.destroyed).toBe(false)
  })

  test('the server cuts off a frame that is too large before it has arrived', async () => {
    const server = await startLive()
    const stranger = strangerTo(server)
    const socket = await stranger.webSocket()
    const head = Buffer.alloc(14)
    head.writeUInt16BE(0x81ff)
    head.writeBigUInt64BE(8_000_000n, 2)
    await stranger.write(socket, head)
    for (let sent = 0; sent < 40 && !socket.destroyed; sent++) {
      await stranger.write(socket, Buffer.alloc(32 * KIB))
      await pause(1)
    }

    expect(await ended(socket)).toBe(true)
    expect(socket.bytesWritten).toBeLessThan(2 * MIB)
    expect(server.server.context.limits.incoming.used).toBe(0)
  })

  test('large data in the connect packet ends the connection and is not kept', async () => {
    const server = await startLive()
    const stranger = strangerTo(server)
    const before = process.memoryUsage().heapUsed
    const sockets = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = await stranger.webSocket()
        await stranger.write(socket, frame(`40{"identityKey":[${'{},'.repeat(400_000)}{}]}`))
        return socket
      }),
    )

    for (const socket of sockets) expect(await ended(socket)).toBe(true)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(60 * MIB)
  })

  test('an unfinished upgrade over its memory limit ends the connection', async () => {
    const server = await startLive()
    const stranger = strangerTo(server)
    const sid = await stranger.poll()
    const upgrading = await stranger.webSocket(`&sid=${sid}`)
    await stranger.write(upgrading, head(8 * MIB))
    await stranger.write(upgrading, Buffer.alloc(MIB, 'a'))

    expect(await ended(upgrading)).toBe(true)
    await until(() => server.server.context.limits.incoming.used === 0)
    expect(await isOpen(server.origin, sid)).toBe(false)
  })

  test('polls do not release the memory of an unfinished frame', async () => {
    const server = await startLive()
    const stranger = strangerTo(server)
    const sid = await stranger.poll()
    const upgrading = await stranger.webSocket(`&sid=${sid}`)
    await stranger.write(upgrading, head(8 * MIB))
    await stranger.write(upgrading, Buffer.alloc(60 * KIB, 'a'))
    await until(() => server.server.context.limits.incoming.used >= 60 * KIB)
    await poll(server.origin, sid, '6')
    expect(server.server.context.limits.incoming.used).toBeGreaterThanOrEqual(60 * KIB)
    await stranger.write(upgrading, Buffer.alloc(60 * KIB, 'a'))
    expect(await ended(upgrading)).toBe(true)
  })

  test.each<[string, (sid: string) => string]>([
    [
      'percent-encoded',
      (sid) => sid.replace(/^./, (first) => `%${first.charCodeAt(0).toString(16)}`),
    ],
    ['after another id', (sid) => `none&sid=${sid}`],
  ])('the limits apply to every spelling of a connection id: %s', async (_name, write) => {
    const server = await startLive()
    const { origin } = server
    const sid = await strangerTo(server).poll()
    expect((await poll(origin, write(sid), '42["authMessage"]\x1e'.repeat(100_000))).status).toBe(
      413,
    )
    expect(await isOpen(origin, sid)).toBe(false)
  })

  test('no spelling of a first poll bypasses MAX_SOCKETS_ADDRESS', async () => {
    const { origin } = await startLive({ env: { MAX_SOCKETS_ADDRESS: '1' } })
    const open = async (more: string): Promise<number> =>
      (await fetch(`${origin}/socket.io/?EIO=4&transport=polling${more}`)).status
    expect(await open('')).toBe(200)
    expect(await Promise.all(['', '&sid=', '&sid', '&%73id='].map(open))).toEqual([
      503, 503, 503, 503,
    ])
  })

  test('a poll whose connection ends meanwhile is answered and releases its memory', async () => {
    const test = await startLive()
    const { origin, server } = test
    const stranger = strangerTo(test)
    const sid = await stranger.poll()
    const polling = await stranger.open()
    await stranger.write(
      polling,
      `POST /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n${'6'.repeat(5000)}`,
    )
    await until(() => server.context.limits.incoming.used > 0)
    await poll(origin, sid, '1')
    const answer = once(polling, 'data')
    await stranger.write(polling, '6'.repeat(5000))

    expect(String((await answer)[0])).toMatch(/^HTTP\/1.1 400 /)
    await until(() => server.context.limits.incoming.used === 0)
  })

  test('one pong for each ping does not count against the rate limit; more pongs do', async () => {
    const server = await startLive({ env: { RATE_LIMIT_ADDRESS: '12' } })
    const { origin } = server
    const stranger = strangerTo(server)
    const sockets = []
    for (let i = 0; i < 6; i++) sockets.push(await stranger.webSocket())
    for (const socket of sockets) await stranger.write(socket, frame('3'))
    expect((await poll(origin, 'none', '6')).status).toBe(400)
    for (const socket of sockets) await stranger.write(socket, frame('3'))
    await eventually(
      async () => ((await fetch(`${origin}/info`)).status === 429 ? true : undefined),
      () => 'Not refused',
    )
  })

  test('a client may send 1 MiB as its first signed event', async () => {
    const { origin, server } = await startLive()
    const key = PrivateKey.fromRandom()
    const socket = AuthSocketClient(origin, {
      wallet: new ProtoWallet(key) as unknown as WalletInterface,
      managerOptions: { forceNew: true },
    })
    onEnd(() => {
      socket.disconnect()
    })
    const identityKey = key.toPublicKey().toString()
    const acked = new Promise((resolve) => {
      socket.on(`sendMessageAck-${identityKey}-inbox`, resolve)
    })

    socket.emit('sendMessage', {
      roomId: `${identityKey}-inbox`,
      message: { messageId: 'first', recipient: identityKey, body: 'x'.repeat(MIB) },
    })

    expect(await acked).toEqual({ status: 'success', messageId: 'first' })
    expect(server.context.hub.size).toBe(0)
  })

  test('the released client may send 1 MiB as its first event', async () => {
    const { host } = await startLive()
    const { client, identityKey } = await liveClient(host)
    const since = Date.now()
    expect(
      await client.sendLiveMessage(
        {
          recipient: identityKey,
          messageBox: 'inbox',
          body: 'x'.repeat(MIB),
          skipEncryption: true,
        },
        host,
      ),
    ).toMatchObject({ status: 'success' })
    expect(Date.now() - since).toBeLessThan(8000)
  })

  test('a large frame with an invalid signature ends the connection', async () => {
    const { origin } = await startLive()
    const socket = lightSocket(origin, { options: { reconnection: false } })
    await socket.handshake()
    socket.raw.emit('authMessage', {
      ...socket.sign({ eventName: 'x', data: 'x'.repeat(100_000) }),
      signature: [48, 0],
    })
    await socket.closed()
  })
})

describe('packets that the protocol does not use', () => {
  test('attachments are not kept, and too many end the connection', async () => {
    const server = await startLive()
    const stranger = strangerTo(server)
    const socket = await stranger.webSocket()
    await stranger.write(socket, frame('40'))
    const before = process.memoryUsage().arrayBuffers
    for (let sent = 0; sent < 8; sent++) {
      await stranger.write(socket, frame('4510-["authMessage",{"_placeholder":true,"num":0}]'))
      await stranger.write(socket, frame(Buffer.alloc(10_000), { opcode: 2 }))
    }

    expect(await ended(socket)).toBe(true)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 * MIB)
  })

  test.each<[string, Buffer]>([
    ['pongs', Buffer.concat(Array.from({ length: 200 }, () => frame('3')))],
    [
      'fragments of one byte',
      Buffer.concat([
        frame('4', { fin: false }),
        ...Array.from({ length: 200 }, () => frame('x', { opcode: 0, fin: false })),
      ]),
    ],
  ])('a flood of %s ends an unauthenticated connection', async (_name, flood) => {
    const server = await startLive()
    const stranger = strangerTo(server)
    const socket = await stranger.webSocket()
    await stranger.write(socket, frame('40'))
    await stranger.write(socket, flood)
    expect(await ended(socket)).toBe(true)
  })
})

test('announced polls that never arrive take no memory and end no other socket', async () => {
  const server = await startLive()
  const stranger = strangerTo(server)
  const honest = await lightSocket(server.origin).authenticate()
  for (let opened = 0; opened < 6; opened++) {
    const sid = await stranger.poll()
    const socket = await stranger.open()
    await stranger.write(
      socket,
      `POST /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nhost: x\r\ncontent-length: ${opened % 2 === 0 ? 67_108_864 : 10_000}\r\n\r\n`,
    )
    if (opened > 3) socket.destroy()
  }
  honest.emit('joinRoom', `${honest.identityKey}-inbox`)
  await honest.next('joinedRoom')

  expect(server.server.context.limits.incoming.used).toBe(0)
  stranger.end()
})

describe('upgrades', () => {
  test('one connection may request only a few', async () => {
    const warnings: string[] = []
    const hear = ({ name }: Error): void => {
      warnings.push(name)
    }
    process.on('warning', hear)
    const server = await startLive()
    const stranger = strangerTo(server)
    const sid = await stranger.poll()

    const sockets = await Promise.all(
      Array.from({ length: 30 }, async () => await stranger.webSocket(`&sid=${sid}`)),
    )

    expect((await Promise.all(sockets.slice(3).map(ended))).filter((one) => !one)).toEqual([])
    process.off('warning', hear)
    expect(warnings).not.toContain('MaxListenersExceededWarning')
  })

  test('a rejected one leaves no connection, even if the client never closes it', async () => {
    const server = await startLive({ env: { RATE_LIMIT_ADDRESS: '1' } })
    const stranger = strangerTo(server)
    await fetch(`${server.origin}/info`)
    for (let refused = 0; refused < 5; refused++) await stranger.webSocket('', true)
    expect(connectionsOf(server.server.port)).toBeGreaterThan(4)
    await until(() => connectionsOf(server.server.port) <= 1)
  })
})

describe('unread output', () => {
  test('lists to one address take at most a quarter of the memory for output', async () => {
    const server = await startLive({
      env: { TRUST_PROXY: '1', OUTGOING_MEMORY: '32mb', MAX_BODY_SIZE: '2mb' },
    })
    const session = await handshake(server.origin)
    for (let stored = 0; stored < 8; stored++) {
      await post(session, '/sendMessage', {
        message: {
          recipient: session.identityKey,
          messageBox: 'inbox',
          messageId: String(stored),
          body: 'x'.repeat(500_000),
        },
      })
    }
    const { outgoing } = server.server.context.limits
    const stranger = new Stranger(server.server.port, '127.0.0.7')
    const mine = await Session.open(server.server.port, newWallet())
    for (let stored = 0; stored < 8; stored++)
      await stranger.ask(
        mine.sign('/sendMessage', {
          message: {
            recipient: mine.wallet.identityKey,
            messageBox: 'inbox',
            messageId: String(stored),
            body: 'x'.repeat(500_000),
          },
        }),
      )
    const sockets: Socket[] = []
    for (let asked = 0; asked < 40; asked++) {
      const socket = await stranger.open()
      socket.pause()
      sockets.push(socket)
      socket.write(mine.sign('/listMessages', { messageBox: 'inbox' }))
    }
    await until(() => sockets.some(({ destroyed }) => destroyed) || outgoing.used > 4 * MIB)
    await pause(500)

    expect(outgoing.used).toBeLessThanOrEqual(8 * MIB)
    expect((await post(session, '/listMessages', { messageBox: 'other' })).status).toBe(200)
    stranger.end()
    await until(() => outgoing.used === 0)
  })

  test('sockets that do not read are closed before they take more than a quarter', async () => {
    const server = await startLive({ env: { OUTGOING_MEMORY: '32mb', MAX_BODY_SIZE: '2mb' } })
    const key = randomBytes(32)
    const deaf = await Promise.all(
      Array.from(
        { length: 20 },
        async () =>
          await lightSocket(server.origin, {
            key,
            options: { reconnection: false },
          }).authenticate(),
      ),
    )
    for (const socket of deaf) {
      socket.emit('joinRoom', `${socket.identityKey}-inbox`)
      await socket.next('joinedRoom')
      ;(socket.raw.io.engine.transport as unknown as { ws: { _socket: Socket } }).ws._socket.pause()
    }
    const { outgoing } = server.server.context.limits
    let most = 0
    const sender = await handshake(server.origin)
    for (let sent = 0; sent < 10; sent++) {
      await post(sender, '/sendMessage', {
        message: {
          recipient: deaf[0]!.identityKey,
          messageBox: 'inbox',
          messageId: randomUUID(),
          body: 'x'.repeat(900_000),
        },
      })
      await pause(20)
      most = Math.max(most, outgoing.used)
    }

    expect(most).toBeGreaterThan(MIB)
    expect(most).toBeLessThanOrEqual(8 * MIB)
    for (const socket of deaf)
      (
        socket.raw.io.engine.transport as unknown as { ws?: { _socket: Socket | null } }
      ).ws?._socket?.destroy()
  })
})

describe('sockets', () => {
  test('over the limit of an identity, the server closes its oldest socket', async () => {
    const { origin } = await startLive({ env: { MAX_SOCKETS_IDENTITY: '3' } })
    const key = randomBytes(32)
    const sockets = []
    for (let made = 0; made < 4; made++)
      sockets.push(
        await lightSocket(origin, { key, options: { reconnection: false } }).authenticate(),
      )
    await sockets[0]!.closed()
    const other = await lightSocket(origin).authenticate()

    expect([...sockets, other].map(({ raw }) => raw.connected)).toEqual([
      false,
      true,
      true,
      true,
      true,
    ])
  })

  test('over the limit of an address, new sockets are rejected until one closes', async () => {
    const { origin } = await startLive({ env: { MAX_SOCKETS_ADDRESS: '2' } })
    const [first] = [
      await lightSocket(origin).authenticate(),
      await lightSocket(origin).authenticate(),
    ]
    expect((await fetch(`${origin}/socket.io/?EIO=4&transport=polling`)).status).toBe(503)
    const refused = lightSocket(origin, { options: { reconnectionDelay: 20 } })
    await new Promise((resolve) => refused.raw.once('connect_error', resolve))

    first!.close()
    await refused.authenticate()
  })

  test('events of an authenticated socket count against its address limit', async () => {
    const { origin } = await startLive({ env: { RATE_LIMIT_ADDRESS: '20' } })
    const socket = await lightSocket(origin).authenticate()
    const roomId = `${socket.identityKey}-inbox`
    for (let sent = 0; sent < 20; sent++)
      socket.emit('sendMessage', {
        roomId,
        message: { messageId: String(sent), recipient: socket.identityKey, body: 'x' },
      })
    const acks = []
    for (let heard = 0; heard < 20; heard++)
      acks.push(
        (await socket.next(`sendMessageAck-${roomId}`)) as { status: string; code?: string },
      )

    expect(acks.filter(({ status }) => status === 'success').length).toBeLessThan(20)
    expect(acks.at(-1)).toMatchObject({ code: 'ERR_RATE_LIMITED' })
    expect((await fetch(`${origin}/info`)).status).toBe(429)
  })
})

test('the server handles other events while it sends to 100 sockets', async () => {
  const { origin, server } = await startLive()
  const key = randomBytes(32)
  const listeners = await Promise.all(
    Array.from({ length: 100 }, async () => await lightSocket(origin, { key }).authenticate()),
  )
  const roomId = `${listeners[0]!.identityKey}-inbox`
  for (const socket of listeners) socket.emit('joinRoom', roomId)
  await Promise.all(listeners.map(async (socket) => await socket.next('joinedRoom')))
  let turns = 0
  const count = (): void => {
    turns++
    if (told < 100) setImmediate(count)
  }
  let told = 0
  for (const socket of listeners)
    void socket.next(`sendMessage-${roomId}`).then(() => {
      told++
    })
  setImmediate(count)
  server.context.hub.publish({
    recipient: listeners[0]!.identityKey,
    messageBox: 'inbox',
    messageId: 'x',
    sender: listeners[0]!.identityKey,
    body: 'x',
    createdAt: Date.now(),
  })
  await until(() => told === 100)

  expect(turns).toBeGreaterThan(100 / 16)
})

test('1,500 clients that connect while the server is busy need no second attempt', async () => {
  const database = await createDatabase('sqlite')
  const server = await ServerProcess.start({ env: database.env })
  onEnd(async () => {
    await server.kill()
    await database.drop()
  })
  const stranger = new Stranger(Number(new URL(server.origin).port), '127.0.0.1')
  server.signal('SIGSTOP')

  // The kernel accepts connections for the server, up to the length of its queue.
  const sockets = await Promise.all(Array.from({ length: 1500 }, async () => await stranger.open()))
  expect(sockets.filter(({ connecting }) => connecting)).toEqual([])

  server.signal('SIGCONT')
  const answers = await Promise.all(
    sockets.map(async (socket) => {
      socket.write('GET /info HTTP/1.1\r\nhost: x\r\n\r\n')
      return String((await once(socket, 'data'))[0]).slice(0, 12)
    }),
  )
  expect(new Set(answers)).toEqual(new Set(['HTTP/1.1 200']))
  stranger.end()
})

test.each<[string, object, boolean]>([
  ['over a WebSocket', {}, false],
  ['over a WebSocket, with an ack callback', {}, true],
  ['by polling', { transports: ['polling'] }, false],
])(
  'a send that is far too large is rejected in the order of the sends, %s',
  async (_name, options, wish) => {
    const { origin } = await startLive()
    const socket = await lightSocket(origin, { options }).authenticate()
    const roomId = `${socket.identityKey}-inbox`
    socket.emit('sendMessage', {
      roomId,
      message: { messageId: 'before', recipient: socket.identityKey, body: 'x' },
    })
    const frame = socket.sign({
      eventName: 'sendMessage',
      data: {
        roomId,
        message: { messageId: 'large', recipient: socket.identityKey, body: 'x'.repeat(4_700_000) },
      },
    })
    socket.raw.emit('authMessage', frame, ...(wish ? [() => {}] : []))
    socket.emit('sendMessage', {
      roomId,
      message: { messageId: 'after', recipient: socket.identityKey, body: 'x' },
    })

    const acks = []
    for (let heard = 0; heard < 3; heard++) acks.push(await socket.next(`sendMessageAck-${roomId}`))
    expect(acks).toMatchObject([
      { status: 'success', messageId: 'before' },
      { status: 'error', code: 'ERR_BODY_TOO_LARGE', messageId: 'large' },
      { status: 'success', messageId: 'after' },
    ])
  },
)
