import { PrivateKey } from '@bsv/sdk'
import { describe, expect, test } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { newWallet, Session } from '../../tools/clients/session'
import { Connection } from '../../tools/clients/connection'
import type { FlatEnv } from '../../src/config'
import { FREE_OF_CHARGE, type Price } from '../../src/permissions/rules'
import { Caller } from '../../tools/clients/caller'
import { createDatabase, ENGINES, type Engine } from '../../tools/databases/databases'
import { lightSocket } from '../../tools/clients/live'
import { eventually, ServerProcess } from '../../tools/programs/processes'
import { onEnd, startServer } from '../../tools/servers/server'
import { handshake, post, sign } from '../../tools/clients/signedRequests'

async function startProcess(engine: Engine, env: FlatEnv = {}): Promise<ServerProcess> {
  const database = await createDatabase(engine)
  onEnd(database.drop)
  return await ServerProcess.start({ env: { ...database.env, ENABLE_WEBSOCKETS: 'true', ...env } })
}

/** The ids in a box, listed by a restarted server. */
async function boxOf(
  server: ServerProcess,
  key: Parameters<typeof handshake>[1],
  messageBox: string,
): Promise<string[]> {
  const ids: string[] = []
  const session = await handshake(server.origin, key)
  for (let offset: number | null = 0; offset !== null;) {
    const { body } = await post(session, '/listMessages', { messageBox, offset })
    ids.push(...(body.messages as Array<{ messageId: string }>).map(({ messageId }) => messageId))
    offset = body.nextOffset as number | null
  }
  return ids
}

const sendTo = async (
  sender: Caller,
  recipient: string,
  messageId: string,
): ReturnType<Caller['post']> => {
  return await sender.post('/sendMessage', {
    message: { recipient, messageBox: 'inbox', messageId, body: 'x'.repeat(300) },
  })
}

describe.each(ENGINES)('SIGTERM on %s', (engine) => {
  test('all of 200 requests in progress succeed, and their messages are stored', async () => {
    const server = await startProcess(engine)
    const port = Number(new URL(server.origin).port)
    const key = PrivateKey.fromRandom()
    const recipient = key.toPublicKey().toString()
    const sessions = await Promise.all(
      Array.from({ length: 10 }, async () => await Session.open(port, newWallet())),
    )
    const ids = Array.from({ length: 200 }, () => randomUUID())
    const requests = ids.map((messageId, index) =>
      sessions[index % 10]!.sign('/sendMessage', {
        message: { recipient, messageBox: 'inbox', messageId, body: 'x'.repeat(300) },
      }),
    )
    const connections = await Promise.all(ids.map(async () => await Connection.open(port)))
    onEnd(() => {
      connections.forEach((connection) => {
        connection.close()
      })
    })

    const answers = connections.map(
      async (connection, index) => await connection.exchange(requests[index]!, true),
    )
    const since = Date.now()
    server.signal('SIGTERM')

    const statuses = (await Promise.all(answers)).map((answer, index) =>
      sessions[index % 10]!.verifies(answer) ? answer.status : 'unsigned',
    )
    expect(statuses).toEqual(ids.map(() => 200))
    expect(await server.ended()).toBe(0)
    expect(Date.now() - since).toBeLessThan(10_000)
    await server.start()
    expect((await boxOf(server, key, 'inbox')).sort()).toEqual(ids.sort())
  })

  test('200 connections opened during the signal are answered if accepted', async () => {
    const server = await startProcess(engine)
    const port = Number(new URL(server.origin).port)
    const session = await Session.open(port, newWallet())
    const requests = Array.from({ length: 200 }, () =>
      session.sign('/listMessages', { messageBox: 'inbox' }),
    )

    const answers = requests.map(async (request) => {
      const connection = await Connection.open(port).catch(() => undefined)
      const status = (await connection?.exchange(request))?.status
      connection?.close()
      return status
    })
    server.signal('SIGTERM')

    // No request is cut off. The port may have closed before the last connections.
    expect(
      [...new Set((await Promise.all(answers)).map((status) => status ?? 'refused'))].filter(
        (status) => status !== 200 && status !== 'refused',
      ),
    ).toEqual([])
    expect(await server.ended()).toBe(0)
  })

  test('acknowledgements in progress succeed and are stored', async () => {
    const server = await startProcess(engine)
    const owner = await Caller.connect(server.origin)
    const ids = Array.from({ length: 100 }, () => randomUUID())
    await Promise.all(ids.map(async (id) => await sendTo(owner, owner.identityKey, id)))

    const answers = ids.map(
      async (id) => await owner.post('/acknowledgeMessage', { messageIds: [id] }),
    )
    // Once half of them are answered, each has a connection.
    await Promise.all(answers.slice(0, 50))
    server.signal('SIGTERM')

    expect((await Promise.all(answers)).map((answer) => answer?.status)).toEqual(ids.map(() => 200))
    expect(await server.ended()).toBe(0)
    await server.start()
    expect((await owner.post('/listMessages', { messageBox: 'inbox' }))?.body.messages).toEqual([])
  })

  test('every request succeeds until the port is closed', async () => {
    const server = await startProcess(engine)
    const key = PrivateKey.fromRandom()
    const recipient = key.toPublicKey().toString()
    const senders = await Promise.all(
      Array.from({ length: 20 }, async () => await Caller.connect(server.origin)),
    )
    const stored: string[] = []
    const other: string[] = []
    const sending = senders.map(async (sender) => {
      for (;;) {
        const id = randomUUID()
        const answer = await sendTo(sender, recipient, id)
        if (answer?.status !== 200) {
          if (answer !== undefined) other.push(`${answer.status} ${String(answer.body.code)}`)
          // The connection is refused, not cut off: the port is closed.
          const refused = await new Promise((resolve) =>
            connect(Number(new URL(server.origin).port), '127.0.0.1')
              .once('connect', () => {
                resolve(false)
              })
              .once('error', (error) => {
                resolve((error as NodeJS.ErrnoException).code)
              }),
          )
          return refused
        }
        stored.push(id)
      }
    })
    await pause(300)
    server.signal('SIGTERM')

    expect(await Promise.all(sending)).toEqual(senders.map(() => 'ECONNREFUSED'))
    expect(other).toEqual([])
    expect(await server.ended()).toBe(0)
    await server.start()
    const box = new Set(await boxOf(server, key, 'inbox'))
    expect(stored.filter((id) => !box.has(id))).toEqual([])
  })

  test('live senders get every acknowledgement and then reconnect', async () => {
    const server = await startProcess(engine)
    const sockets = await Promise.all(
      Array.from(
        { length: 10 },
        async () =>
          await lightSocket(server.origin, { options: { reconnection: false } }).authenticate(),
      ),
    )
    const recipient = sockets[0]!.identityKey
    const roomId = `${recipient}-inbox`
    const reasons = sockets.map(
      async ({ raw }) => await new Promise((resolve) => raw.once('disconnect', resolve)),
    )

    for (const socket of sockets) {
      for (let i = 0; i < 20; i++)
        socket.emit('sendMessage', {
          roomId,
          message: { messageId: randomUUID(), recipient, body: 'hello' },
        })
    }
    await sockets[0]!.next(`sendMessageAck-${roomId}`)
    server.signal('SIGTERM')

    for (const [index, socket] of sockets.entries()) {
      for (let i = index === 0 ? 1 : 0; i < 20; i++)
        expect(await socket.next(`sendMessageAck-${roomId}`)).toMatchObject({ status: 'success' })
    }
    // For this reason, the client of Socket.IO reconnects by itself.
    expect(await Promise.all(reasons)).toEqual(sockets.map(() => 'transport close'))
    expect(await server.ended()).toBe(0)
  })
})

test('during a stop, /ready reports it and new connections are refused', async () => {
  let open: () => void = () => {}
  let begun: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const working = new Promise<void>((resolve) => {
    begun = resolve
  })
  const priceOf = async (): Promise<Price> => {
    begun()
    await gate
    return FREE_OF_CHARGE
  }
  const { origin, server } = await startServer({ overrides: { priceOf }, idleGraceMs: 5000 })
  const alice = await handshake(origin)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ready = async (): Promise<{ status: number; connection: string; body: unknown }> =>
    await new Promise((resolve, reject) => {
      get(`${origin}/ready`, { agent }, (res) => {
        let body = ''
        res
          .on('data', (chunk) => {
            body += String(chunk)
          })
          .on('end', () => {
            resolve({
              status: res.statusCode!,
              connection: res.headers.connection!,
              body: JSON.parse(body),
            })
          })
      }).once('error', reject)
    })
  expect(await ready()).toEqual({
    status: 200,
    connection: 'keep-alive',
    body: { status: 'ready' },
  })
  const answer = post(alice, '/sendMessage', {
    message: { recipient: alice.identityKey, messageBox: 'inbox', messageId: 'id', body: 'hello' },
  })
  await working

  const stopped = server.stop()
  expect(await ready()).toMatchObject({
    status: 503,
    connection: 'close',
    body: { status: 'error', code: 'ERR_STOPPING' },
  })
  // Connections opened before the port closed are still answered.
  const code = await eventually(
    async () =>
      await ready().then(
        ({ status }) => {
          expect(status).toBe(503)
        },
        (error) => (error as NodeJS.ErrnoException).code,
      ),
    () => 'the port stays open',
  )
  expect(code).toBe('ECONNREFUSED')
  open()

  expect((await answer).status).toBe(200)
  await stopped
  agent.destroy()
})

test('a slow live send is acknowledged before its socket is closed', async () => {
  let begun: () => void = () => {}
  const working = new Promise<void>((resolve) => {
    begun = resolve
  })
  const priceOf = async (): Promise<Price> => {
    begun()
    // Longer than the server keeps idle connections and accepts new ones.
    await pause(1500)
    return FREE_OF_CHARGE
  }
  const { origin, server } = await startServer({
    env: { ENABLE_WEBSOCKETS: 'true' },
    overrides: { priceOf },
    idleGraceMs: 300,
  })
  const socket = await lightSocket(origin, { options: { reconnection: false } }).authenticate()
  const roomId = `${socket.identityKey}-inbox`
  socket.emit('sendMessage', {
    roomId,
    message: { messageId: 'id', recipient: socket.identityKey, body: 'hello' },
  })
  await working

  const stopped = server.stop()

  expect(await socket.next(`sendMessageAck-${roomId}`)).toEqual({
    status: 'success',
    messageId: 'id',
  })
  await stopped
})

test('a second signal of either kind ends the server at once', async () => {
  const server = await startProcess('sqlite', { SHUTDOWN_TIMEOUT: '60' })
  const alice = await handshake(server.origin)
  const { init } = await sign(alice, {
    target: '/sendMessage',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  const slow = connect(Number(new URL(server.origin).port), '127.0.0.1').on('error', () => {})
  slow.write(
    `POST /sendMessage HTTP/1.1\r\n${Object.entries({
      ...init.headers,
      host: 'localhost',
      'content-length': '1000',
    })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n{"message":`,
  )
  await fetch(`${server.origin}/health`)

  server.signal('SIGTERM')
  await eventually(
    () => server.output.includes('"stopping"') || undefined,
    () => 'the server does not stop',
  )
  // The server ignores a second signal right after the first, as an echo.
  server.signal('SIGINT')
  const end = await eventually(
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      server.signal('SIGINT')
      return server.running ? undefined : await server.ended()
    },
    () => 'the server does not end',
  )

  expect(end).toBe('SIGINT')
  slow.destroy()
})

test('a slow client delays the stop for at most SHUTDOWN_TIMEOUT', async () => {
  const server = await startProcess('sqlite', { SHUTDOWN_TIMEOUT: '2' })
  const alice = await handshake(server.origin)
  const { init } = await sign(alice, {
    target: '/sendMessage',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  const slow = connect(Number(new URL(server.origin).port), '127.0.0.1').on('error', () => {})
  slow.write(
    `POST /sendMessage HTTP/1.1\r\n${Object.entries({
      ...init.headers,
      host: 'localhost',
      'content-length': '1000',
    })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n{"message":`,
  )
  await fetch(`${server.origin}/health`)

  const since = Date.now()
  server.signal('SIGTERM')

  expect(await server.ended()).toBe(0)
  expect(Date.now() - since).toBeLessThan(2500)
  slow.destroy()
})
