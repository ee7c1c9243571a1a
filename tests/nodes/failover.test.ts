/** Redis becomes a replica: its address moves, while open connections stay with the old one. */
import { describe, expect, test } from '@jest/globals'
import { createClient } from '@redis/client'
import { randomBytes, randomUUID } from 'node:crypto'
import { lightSocket, until } from '../../tools/clients/live'
import { canRunRedis, PrivateRedis } from '../../tools/databases/redis'
import { ServerProcess } from '../../tools/programs/processes'
import { createDatabase } from '../../tools/databases/databases'
import { onEnd } from '../../tools/servers/server'
import { handshake, post, sign } from '../../tools/clients/signedRequests'
import { TcpProxy } from '../../tools/proxies/tcpProxy'

;(canRunRedis() ? describe : (): void => {})('after a failover of Redis', () => {
  test('nodes share nonces and deliver messages to each other again', async () => {
    const [old, next] = [await PrivateRedis.create(), await PrivateRedis.create()]
    onEnd(async () => {
      await Promise.all([old.kill(), next.kill()])
    })
    const target = { host: '127.0.0.1', port: Number(new URL(old.url).port) }
    const proxy = new TcpProxy(target)
    await proxy.open()
    onEnd(async () => {
      await proxy.set('refuse')
    })
    const database = await createDatabase('mysql')
    onEnd(database.drop)
    const env = {
      ...database.env,
      ENABLE_WEBSOCKETS: 'true',
      REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
      SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'),
    }
    const nodes = await Promise.all([1, 2].map(async () => await ServerProcess.start({ env })))
    const [a, b] = nodes as [ServerProcess, ServerProcess]
    const statusOf = async ({ origin }: ServerProcess): Promise<unknown> =>
      ((await (await fetch(`${origin}/ready`)).json()) as { status: unknown }).status
    const listener = await lightSocket(b.origin).authenticate()
    const roomId = `${listener.identityKey}-inbox`
    listener.emit('joinRoom', roomId)
    await listener.next('joinedRoom')
    const session = await handshake(a.origin)
    const sendLive = async (): Promise<void> => {
      await post(session, '/sendMessage', {
        message: {
          recipient: listener.identityKey,
          messageBox: 'inbox',
          messageId: randomUUID(),
          body: 'x',
        },
      })
    }
    await sendLive()
    await listener.next(`sendMessage-${roomId}`)

    const control = createClient({ url: old.url })
    await control.connect()
    await control.sendCommand(['REPLICAOF', '127.0.0.1', new URL(next.url).port])
    control.destroy()
    target.port = Number(new URL(next.url).port)

    // A request finds that the old one rejects writes; a later one reaches the new one.
    await until(async () => {
      await Promise.all(
        nodes.map(
          async ({ origin }) =>
            await post({ ...session, origin }, '/listMessages', { messageBox: 'inbox' }),
        ),
      )
      return (await Promise.all(nodes.map(statusOf))).every((status) => status === 'ready')
    })
    const request = await sign(session, {
      target: '/listMessages',
      headers: { 'content-type': 'application/json' },
      body: '{"messageBox":"inbox"}',
    })
    const answers = await Promise.all(
      nodes.map(
        async ({ origin }) =>
          (await fetch(`${origin}/listMessages`, request.init as RequestInit)).status,
      ),
    )
    expect(answers.sort()).toEqual([200, 401])
    await sendLive()
    await listener.next(`sendMessage-${roomId}`)
  })
})
