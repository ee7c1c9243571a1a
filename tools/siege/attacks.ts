/** Attacks by clients without or with an identity. Each runs until it is stopped or done. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { newWallet } from '../clients/session'
import { AUTH_HEADERS } from '../../src/auth/brc104'
import { LightSocket } from '../clients/lightSocket'
import { frame, post, tinyChunks, type Stranger } from './stranger'

export type Attack = (stranger: Stranger, goesOn: () => boolean) => Promise<void>

/** Headers of an existing session with an invalid signature. */
async function unsigned(stranger: Stranger): Promise<Record<string, string>> {
  const session = await stranger.session()
  const signed = session?.sign('/sendMessage', {}).toString('latin1') ?? ''
  const headers = Object.fromEntries(
    [...signed.matchAll(/^(x-bsv-auth-[^:]+): (.*)\r$/gm)].map(([, name, value]) => [
      name!,
      value!,
    ]),
  )
  return { ...headers, 'content-type': 'application/json', [AUTH_HEADERS.signature]: '00' }
}

/** Keeps a number of jobs running. */
async function many(
  count: number,
  goesOn: () => boolean,
  work: (index: number) => Promise<void>,
): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_value, index) => {
      while (goesOn()) {
        await work(index)
        await pause(1)
      }
    }),
  )
}

/** Sends signed requests of one identity repeatedly, and reads the answers or not. */
async function askSigned(
  stranger: Stranger,
  goesOn: () => boolean,
  {
    target,
    content,
    clients,
    reads,
  }: { target: string; content: () => object; clients: number; reads: boolean },
): Promise<void> {
  const session = await stranger.session()
  if (session === undefined) return
  await many(clients, goesOn, async () => {
    const socket = await stranger.open()
    if (reads) socket.resume()
    else socket.pause()
    for (let sent = 0; sent < 8 && goesOn() && !socket.destroyed; sent++) {
      await stranger.write(socket, session.sign(target, content()))
      await pause(reads ? 20 : 1)
    }
    if (reads) socket.destroy()
    else await pause(500)
  })
}

const key = (): string => newWallet().identityKey
const message = (recipient: string | string[], body: string): object => ({
  message: {
    recipient,
    messageBox: 'inbox',
    messageId: Array.isArray(recipient) ? recipient.map(() => randomUUID()) : randomUUID(),
    body,
  },
})

/**
 * Opens sockets one after another.
 * @returns those that the server has let in, at least one, or none if the siege ends before
 */
async function openSockets(
  { stranger, goesOn }: { stranger: Stranger; goesOn: () => boolean },
  count: number,
  { wallet = randomBytes(32), reads = true }: { wallet?: Buffer; reads?: boolean } = {},
): Promise<LightSocket[]> {
  const sockets: LightSocket[] = []
  for (let tried = 0; goesOn() && (tried < count || sockets.length === 0); tried++) {
    const socket = new LightSocket(`http://127.0.0.1:${stranger.port}`, {
      key: wallet,
      options: { reconnection: false, localAddress: stranger.address } as object,
    })
    const isProven = await Promise.race([
      socket.authenticate().then(
        () => true,
        () => false,
      ),
      pause(1000, false),
    ])
    const { ws } = socket.raw.io.engine.transport as unknown as { ws?: { _socket: Socket | null } }
    const connection = ws?._socket
    if (!isProven || connection === undefined || connection === null) {
      socket.close()
      continue
    }
    socket.emit('joinRoom', `${socket.identityKey}-inbox`)
    if (!reads) connection.pause()
    sockets.push(socket)
  }
  return sockets
}

export const ATTACKS: Record<string, Attack> = {
  'bodies in chunks of one byte, with a session': async (stranger, goesOn) => {
    await many(4, goesOn, async () => {
      const socket = await stranger.open()
      await stranger.write(
        socket,
        post('/sendMessage', { ...(await unsigned(stranger)), 'transfer-encoding': 'chunked' }),
      )
      const chunks = tinyChunks(10_000)
      for (let sent = 0; sent < 10_000_000 && goesOn() && !socket.destroyed; sent += 10_000)
        await stranger.write(socket, chunks)
      socket.destroy()
    })
  },
  'bodies in chunks of one byte, without a session': async (stranger, goesOn) => {
    await many(40, goesOn, async (index) => {
      const socket = await stranger.open()
      await stranger.write(
        socket,
        post(['/.well-known/auth', '/sendMessage', '/nothing', '/submit'][index % 4]!, {
          'transfer-encoding': 'chunked',
        }),
      )
      const chunks = tinyChunks(10_000)
      for (let sent = 0; sent < 70_000 && goesOn() && !socket.destroyed; sent += 10_000)
        await stranger.write(socket, chunks)
      await pause(300)
      socket.destroy()
    })
  },
  'polls of thousands of packets': async (stranger, goesOn) => {
    const body = Buffer.from('42["authMessage"]\x1e'.repeat(900_000))
    await many(2, goesOn, async () => {
      const sid = await stranger.poll()
      await stranger.ask(
        `${post(`/socket.io/?EIO=4&transport=polling&sid=${sid}`, { 'content-length': 2 })}40`,
      )
      const socket = await stranger.open()
      await stranger.write(
        socket,
        post(`/socket.io/?EIO=4&transport=polling&sid=${sid}`, { 'content-length': body.length }),
      )
      await stranger.write(socket, body)
      await pause(200)
      socket.destroy()
    })
  },
  'polls in chunks of one byte': async (stranger, goesOn) => {
    await many(10, goesOn, async () => {
      const sid = await stranger.poll()
      const socket = await stranger.open()
      await stranger.write(
        socket,
        post(`/socket.io/?EIO=4&transport=polling&sid=${sid}`, { 'transfer-encoding': 'chunked' }),
      )
      for (let sent = 0; sent < 20 && goesOn() && !socket.destroyed; sent++)
        await stranger.write(socket, tinyChunks(10_000))
      socket.destroy()
    })
  },
  'polls that are announced and never come': async (stranger, goesOn) => {
    await many(5, goesOn, async () => {
      const sid = await stranger.poll()
      const socket = await stranger.open()
      await stranger.write(
        socket,
        post(`/socket.io/?EIO=4&transport=polling&sid=${sid}`, { 'content-length': 67_108_864 }),
      )
      if (Math.random() < 0.5) socket.destroy()
      else await pause(1000)
    })
  },
  'CONNECT with megabytes': async (stranger, goesOn) => {
    const data = frame(`40{"identityKey":[${'{},'.repeat(1_000_000)}{}]}`)
    await many(3, goesOn, async () => {
      const socket = await stranger.webSocket()
      await stranger.write(socket, data)
      await pause(300)
    })
  },
  'binary packets': async (stranger, goesOn) => {
    await many(3, goesOn, async () => {
      const socket = await stranger.webSocket()
      await stranger.write(socket, frame('40'))
      await stranger.write(socket, frame('4510-["authMessage",{"_placeholder":true,"num":0}]'))
      for (let sent = 0; sent < 9 && !socket.destroyed; sent++)
        await stranger.write(socket, frame(Buffer.alloc(4_000_000), { opcode: 2 }))
      await pause(300)
    })
  },
  'floods of tiny frames, pings and fragments': async (stranger, goesOn) => {
    const floods = [
      frame('3'),
      frame('6'),
      frame('42["x"]'),
      frame('', { opcode: 9 }),
      frame('x', { opcode: 0, fin: false }),
    ].map((one) => Buffer.concat(Array.from({ length: 5000 }, () => one)))
    await many(4, goesOn, async () => {
      const socket = await stranger.webSocket()
      await stranger.write(socket, frame('40'))
      for (const flood of floods) await stranger.write(socket, flood)
      await pause(50)
      socket.destroy()
    })
  },
  'upgrades that are refused, ignored or asked for again': async (stranger, goesOn) => {
    const sid = await stranger.poll()
    await many(10, goesOn, async (index) => {
      if (index % 2 === 0) await stranger.webSocket(`&sid=${sid}`)
      else await stranger.webSocket('&sid=unknown')
      await pause(20)
    })
  },
  'upgrades that are never completed, behind connections however they are named': async (
    stranger,
    goesOn,
  ) => {
    const [begun, rest] = [
      frame('x'.repeat(8_400_000)).subarray(0, 14),
      Buffer.alloc(8_000_000, 'a'),
    ]
    await many(10, goesOn, async (index) => {
      const sid = await stranger.poll()
      const named =
        index % 2 === 0 ? sid : sid.replace(/^./, (first) => `%${first.charCodeAt(0).toString(16)}`)
      const socket = await stranger.webSocket(`&sid=${named}`)
      await stranger.write(socket, begun)
      await stranger.write(socket, rest)
      const poll = await stranger.open()
      await stranger.write(
        poll,
        post(`/socket.io/?EIO=4&transport=polling&sid=${named}`, { 'content-length': rest.length }),
      )
      await stranger.write(poll, rest)
      await pause(100)
      poll.destroy()
    })
  },
  'lists that are not read': async (stranger, goesOn) => {
    const session = await stranger.session()
    if (session === undefined) return
    const body = '"'.repeat(500_000)
    for (let sent = 0; sent < 12; sent++)
      await stranger.ask(session.sign('/sendMessage', message(session.wallet.identityKey, body)))
    await many(60, goesOn, async () => {
      const socket = await stranger.open()
      socket.pause()
      await stranger.write(socket, session.sign('/listMessages', { messageBox: 'inbox' }))
      await pause(3000)
    })
  },
  'lists of the largest pages': async (stranger, goesOn) => {
    const session = await stranger.session()
    if (session === undefined) return
    for (let sent = 0; sent < 8; sent++)
      await stranger.ask(
        session.sign('/sendMessage', message(session.wallet.identityKey, 'x'.repeat(900_000))),
      )
    await many(10, goesOn, async () => {
      const socket = await stranger.open()
      socket.resume()
      await stranger.write(socket, session.sign('/listMessages', { messageBox: 'inbox' }))
      await pause(100)
      socket.destroy()
    })
  },
  'sends to 100 recipients, large': async (stranger, goesOn) => {
    const recipients = Array.from({ length: 100 }, key)
    await askSigned(stranger, goesOn, {
      target: '/sendMessage',
      content: () => message(recipients, 'x'.repeat(500_000)),
      clients: 4,
      reads: true,
    })
  },
  'sends to 100 recipients, small': async (stranger, goesOn) => {
    const recipients = Array.from({ length: 100 }, key)
    await askSigned(stranger, goesOn, {
      target: '/sendMessage',
      content: () => message(recipients, 'x'),
      clients: 20,
      reads: true,
    })
  },
  'payments of 10 MB of brackets, and of quotes': async (stranger, goesOn) => {
    const session = await stranger.session()
    if (session === undefined) return
    const bodies = [
      `[${'[],'.repeat(3_400_000)}[]]`,
      `"${'\\"'.repeat(5_000_000)}"`,
      `[${'"",'.repeat(2_000_000)}""]`,
    ].map((tx) =>
      Buffer.from(
        `{"message":{"recipient":"${key()}","messageBox":"inbox","messageId":"x","body":"x"},` +
          `"payment":{"tx":${tx}}}`,
      ),
    )
    await many(3, goesOn, async (index) => {
      const socket = await stranger.open()
      socket.resume()
      await stranger.write(socket, session.sign('/sendMessage', bodies[index]!))
      await pause(200)
      socket.destroy()
    })
  },
  'rubbish requests, as fast as they go': async (stranger, goesOn) => {
    const rubbish = Buffer.from(
      'POST /sendMessage HTTP/1.1\r\nhost: x\r\nx-bsv-auth-request-id: x\r\n' +
        'content-length: 2\r\n\r\n{}GET /health HTTP/1.1\r\nhost: x\r\n\r\n' +
        'GET /docs HTTP/1.1\r\nhost: x\r\n\r\n',
    )
    await many(20, goesOn, async () => {
      const socket = await stranger.open()
      socket.resume()
      for (let sent = 0; sent < 20 && goesOn() && !socket.destroyed; sent++) {
        await stranger.write(socket, rubbish)
        await pause(1)
      }
      socket.destroy()
    })
  },
  'handshakes, as fast as they go': async (stranger, goesOn) => {
    await many(20, goesOn, async () => {
      await stranger.session()
    })
  },
  'pages that are not read': async (stranger, goesOn) => {
    await many(100, goesOn, async () => {
      const socket = await stranger.open()
      socket.pause()
      await stranger.write(socket, 'GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(8))
      await pause(2000)
    })
  },
  'sockets of one identity that do not read': async (stranger, goesOn) => {
    const wallet = randomBytes(32)
    const [sender] = await openSockets({ stranger, goesOn }, 1, { wallet })
    const sockets = await openSockets({ stranger, goesOn }, 60, { wallet, reads: false })
    while (sender !== undefined && goesOn()) {
      sender.emit('sendMessage', {
        roomId: `${sender.identityKey}-inbox`,
        message: {
          messageId: randomUUID(),
          recipient: sender.identityKey,
          body: 'x'.repeat(900_000),
        },
      })
      await pause(300)
    }
    for (const socket of sockets) socket.close()
    sender?.close()
  },
  'sends that are far too large for a socket': async (stranger, goesOn) => {
    await many(3, goesOn, async () => {
      const [socket] = await openSockets({ stranger, goesOn }, 1)
      if (socket === undefined) return
      const data = {
        roomId: `${socket.identityKey}-inbox`,
        message: {
          messageId: randomUUID(),
          recipient: socket.identityKey,
          body: 'x'.repeat(5_500_000),
        },
      }
      for (let sent = 0; sent < 3; sent++) socket.emit('sendMessage', data)
      await pause(1000)
      socket.close()
    })
  },
  'many sockets of one identity, and many messages to them': async (stranger, goesOn) => {
    const sockets = await openSockets({ stranger, goesOn }, 60)
    const sender = sockets.at(-1)
    while (sender !== undefined && goesOn()) {
      for (let sent = 0; sent < 4; sent++)
        sender.emit('sendMessage', {
          roomId: `${sender.identityKey}-inbox`,
          message: { messageId: randomUUID(), recipient: sender.identityKey, body: 'x' },
        })
      await pause(50)
    }
    for (const socket of sockets) socket.close()
  },
  '1,500 connections at once': async (stranger, goesOn) => {
    while (goesOn()) {
      const sockets = await Promise.all(
        Array.from({ length: 1500 }, async () => await stranger.open()),
      )
      for (const socket of sockets) socket.write('GET /info HTTP/1.1\r\nhost: x\r\n\r\n')
      await pause(1000)
      for (const socket of sockets) socket.destroy()
    }
  },
  'requests that never end': async (stranger, goesOn) => {
    await many(200, goesOn, async () => {
      const socket = await stranger.open()
      await stranger.write(socket, post('/.well-known/auth', { 'content-length': 60_000 }))
      for (let sent = 0; sent < 50 && goesOn() && !socket.destroyed; sent++) {
        await stranger.write(socket, 'x'.repeat(1000))
        await pause(100)
      }
      socket.destroy()
    })
  },
}
