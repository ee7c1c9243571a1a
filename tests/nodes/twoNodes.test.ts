/** Two nodes as processes with one MariaDB and one Redis, as behind a load balancer. */
import { PrivateKey } from '@bsv/sdk'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { randomBytes, randomUUID } from 'node:crypto'
import { Caller } from '../../tools/clients/caller'
import { createDatabase, ENGINES, type TestDatabase } from '../../tools/databases/databases'
import { lightSocket, liveClient, until } from '../../tools/clients/live'
import { eventually, ServerProcess } from '../../tools/programs/processes'
import { canRunRedis, PrivateRedis } from '../../tools/databases/redis'
import { handshake, post, sign, submit, type HandSession } from '../../tools/clients/signedRequests'
import { TcpProxy } from '../../tools/proxies/tcpProxy'

const here = canRunRedis() && ENGINES.includes('mysql') ? describe : (): void => {}

here('two nodes', () => {
  let redis: PrivateRedis
  let database: TestDatabase
  let a: ServerProcess
  let b: ServerProcess

  beforeAll(async () => {
    redis = await PrivateRedis.create()
    database = await createDatabase('mysql')
    const env = {
      ...database.env,
      SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'),
      REDIS_URL: redis.url,
      ENABLE_WEBSOCKETS: 'true',
    }
    a = await ServerProcess.start({ env })
    b = await ServerProcess.start({ env })
    for (const node of [a, b]) await settled(node, 'ready')
  })

  afterAll(async () => {
    for (const node of [a, b]) await node.kill()
    await redis.kill()
    await database.drop()
  })

  const readiness = async (node: ServerProcess): Promise<{ status: number; body: unknown }> => {
    const response = await fetch(`${node.origin}/ready`)
    return { status: response.status, body: await response.json() }
  }
  const settled = async (node: ServerProcess, status: string): Promise<void> => {
    await eventually(
      async () =>
        ((await readiness(node)).body as { status: string }).status === status || undefined,
      () => `the node is not ${status}`,
    )
  }
  const on = (session: HandSession, node: ServerProcess): HandSession => ({
    ...session,
    origin: node.origin,
  })
  const send = async (
    session: HandSession,
    recipient: string,
    messageId = randomUUID() as string,
  ): ReturnType<typeof post> => {
    return await post(session, '/sendMessage', {
      message: { recipient, messageBox: 'inbox', messageId, body: 'hello' },
    })
  }
  const hasRoom = async (socket: ReturnType<typeof lightSocket>, roomId: string): Promise<void> => {
    socket.emit('joinRoom', roomId)
    expect(await socket.next('joinedRoom')).toEqual({ roomId })
  }

  test('a session and messages of one node are valid on the other', async () => {
    const alice = await handshake(a.origin)

    expect(await send(on(alice, b), alice.identityKey, 'by way of b')).toMatchObject({
      status: 200,
      verified: true,
    })
    expect(
      (await post(on(alice, a), '/listMessages', { messageBox: 'inbox' })).body.messages,
    ).toMatchObject([{ messageId: 'by way of b' }])
    expect(
      (await post(on(alice, b), '/acknowledgeMessage', { messageIds: ['by way of b'] })).status,
    ).toBe(200)
  })

  test('a client whose node stops continues on the other, in its rooms only', async () => {
    const target = { host: '127.0.0.1', port: Number(new URL(a.origin).port) }
    const balancer = new TcpProxy(target)
    await balancer.open()
    const listener = await liveClient(`http://127.0.0.1:${balancer.port}`)
    const heard: unknown[] = []
    for (const messageBox of ['inbox', 'other']) {
      await listener.client.listenForLiveMessages({
        messageBox,
        onMessage: ({ body }) => {
          heard.push(body)
        },
      })
    }
    await eventually(
      () =>
        (listener.client as unknown as { joinedRooms: Set<string> }).joinedRooms.size === 2 ||
        undefined,
      () => 'the rooms are not joined',
    )
    const alice = await handshake(a.origin)
    const sendBody = async (
      node: ServerProcess,
      messageBox: string,
      body: string,
    ): Promise<void> => {
      expect(
        (
          await post(on(alice, node), '/sendMessage', {
            message: { recipient: listener.identityKey, messageBox, messageId: randomUUID(), body },
          })
        ).status,
      ).toBe(200)
    }
    await sendBody(a, 'other', 'at first')
    await until(() => heard.includes('at first'))

    target.port = Number(new URL(b.origin).port)
    balancer.cut()

    // The client hears messages that either node stores.
    let tries = 0
    await until(async () => {
      await sendBody(a, 'inbox', `by way of a ${tries++}`)
      return heard.some((body) => String(body).startsWith('by way of a'))
    })
    await sendBody(b, 'never joined', 'not to be heard')
    await sendBody(b, 'other', 'by way of b')
    await until(() => heard.includes('by way of b'))
    expect(heard).not.toContain('not to be heard')
    await balancer.set('refuse')
  })

  test('a request that one node has seen is rejected by the other', async () => {
    const alice = await handshake(a.origin)
    const captured = await sign(on(alice, a), {
      target: '/listMessages',
      headers: { 'content-type': 'application/json' },
      body: '{"messageBox":"inbox"}',
    })
    expect((await submit(alice, captured)).status).toBe(200)

    const again = await submit(alice, {
      ...captured,
      url: captured.url.replace(a.origin, b.origin),
    })

    expect([again.status, again.body.code]).toEqual([401, 'UNAUTHORIZED'])
  })

  test('a client hears messages sent to either node, over HTTP or the socket', async () => {
    const listener = await lightSocket(b.origin).authenticate()
    const roomId = `${listener.identityKey}-inbox`
    await hasRoom(listener, roomId)
    const alice = await handshake(a.origin)
    const sender = await lightSocket(a.origin).authenticate()

    await send(on(alice, a), listener.identityKey, 'over HTTP')
    expect(await listener.next(`sendMessage-${roomId}`)).toMatchObject({
      messageId: 'over HTTP',
      sender: alice.identityKey,
      body: 'hello',
      messageBox: 'inbox',
    })
    sender.emit('sendMessage', {
      roomId,
      message: { messageId: 'over the socket', recipient: listener.identityKey, body: 'hello' },
    })
    expect(await listener.next(`sendMessage-${roomId}`)).toMatchObject({
      messageId: 'over the socket',
      sender: sender.identityKey,
    })
    await send(on(alice, b), listener.identityKey, 'on the same node')
    expect(await listener.next(`sendMessage-${roomId}`)).toMatchObject({
      messageId: 'on the same node',
    })
    expect(listener.heard).toEqual([])
  })

  test('released clients on different nodes hear each other', async () => {
    const [bob, alice] = [await liveClient(b.origin), await liveClient(a.origin)]
    const heard: unknown[] = []
    await bob.client.listenForLiveMessages({
      messageBox: 'chat',
      onMessage: async ({ body }) => {
        heard.push(body)
      },
    })

    await alice.client.sendLiveMessage(
      { recipient: bob.identityKey, messageBox: 'chat', body: 'Are you there?' },
      a.origin,
    )

    await until(() => heard.length > 0)
    expect(heard).toEqual(['Are you there?'])
  })

  test('a client that has left a room hears no more messages of it', async () => {
    const listener = await lightSocket(b.origin).authenticate()
    const [left, kept] = [`${listener.identityKey}-inbox`, `${listener.identityKey}-other`]
    for (const roomId of [left, kept]) await hasRoom(listener, roomId)
    listener.emit('leaveRoom', left)
    await listener.next('leftRoom')
    const alice = await handshake(a.origin)

    await send(on(alice, a), listener.identityKey)
    await post(on(alice, a), '/sendMessage', {
      message: {
        recipient: listener.identityKey,
        messageBox: 'other',
        messageId: 'other',
        body: 'hello',
      },
    })

    expect(await listener.next(`sendMessage-${kept}`)).toMatchObject({ messageId: 'other' })
    expect(listener.heard).toEqual([])
  })

  test('clients continue on one node after the other is killed', async () => {
    const [alice, bob] = [await Caller.connect(a.origin), await liveClient(a.origin)]
    const body = {
      message: {
        recipient: bob.identityKey,
        messageBox: 'inbox',
        messageId: 'answered by a',
        body: 'hello',
      },
    }
    expect((await alice.post('/sendMessage', body))?.status).toBe(200)
    await a.kill()

    const elsewhere = alice.at(b.origin)
    expect((await elsewhere.post('/sendMessage', body))?.body.results).toEqual([
      { recipient: bob.identityKey, messageId: 'answered by a', duplicate: true },
    ])
    const listed = await bob.client.listMessages({ messageBox: 'inbox', host: b.origin })
    expect(listed.map(({ messageId }) => messageId)).toEqual(['answered by a'])
    await a.start()
    await settled(a, 'ready')
  })

  test.each(['SIGKILL', 'SIGSTOP'] as const)(
    'nodes work alone while Redis is away (%s), lose no message, and reconnect',
    async (signal) => {
      const listener = await lightSocket(b.origin).authenticate()
      const roomId = `${listener.identityKey}-inbox`
      await hasRoom(listener, roomId)
      const alice = await handshake(a.origin, PrivateKey.fromRandom())
      const stored: string[] = []
      let going = true
      const load = (async () => {
        while (going) {
          const id = randomUUID()
          const { status } = await send(
            on(alice, stored.length % 2 === 0 ? a : b),
            listener.identityKey,
            id,
          )
          expect(status).toBe(200)
          stored.push(id)
        }
      })()
      await until(() => stored.length > 10)
      await redis.kill(signal)
      const away = stored.length
      await until(() => stored.length > away + 20)
      for (const node of [a, b]) {
        await settled(node, 'degraded')
        expect(await readiness(node)).toEqual({
          status: 200,
          body: { status: 'degraded', redis: 'away' },
        })
      }
      // The listener still hears messages sent to its own node.
      await send(on(alice, b), listener.identityKey, 'while away')
      await listener.wait(({ data }) => (data as { messageId: string }).messageId === 'while away')
      const joining = await lightSocket(b.origin).authenticate()
      await hasRoom(joining, `${joining.identityKey}-inbox`)

      if (signal === 'SIGKILL') await redis.start()
      else await redis.kill('SIGCONT')
      for (const node of [a, b]) await settled(node, 'ready')
      going = false
      await load

      // The earlier listener and the one that joined meanwhile hear the other node again.
      for (const socket of [listener, joining]) {
        let heard = false
        await eventually(
          async () => {
            const messageId = randomUUID()
            await send(on(alice, a), socket.identityKey, messageId)
            heard ||= await socket
              .wait(({ data }) => (data as { messageId: string }).messageId === messageId, 500)
              .then(
                () => true,
                () => false,
              )
            return heard || undefined
          },
          () => 'the nodes do not hear each other again',
        )
      }
      const listed = new Set<string>()
      const owner = {
        ...(await handshake(a.origin, PrivateKey.fromHex(listener.privateKey))),
        origin: a.origin,
      }
      for (const { messageId } of (await post(owner, '/listMessages', { messageBox: 'inbox' })).body
        .messages as Array<{ messageId: string }>)
        listed.add(messageId)
      expect(stored.filter((id) => !listed.has(id))).toEqual([])
    },
  )

  test('a node can start while Redis is away', async () => {
    await redis.kill()
    await a.kill('SIGTERM')
    await a.start()

    expect(await readiness(a)).toEqual({ status: 200, body: { status: 'degraded', redis: 'away' } })
    const alice = await handshake(a.origin)
    expect((await send(alice, alice.identityKey)).status).toBe(200)
    await redis.start()
    for (const node of [a, b]) await settled(node, 'ready')
  })
})
