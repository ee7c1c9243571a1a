/** A client that only listens hears messages again after its connection broke. */
import { expect, test } from '@jest/globals'
import { setTimeout as pause } from 'node:timers/promises'
import { newClient } from '../../tools/clients/clients'
import { createDatabase } from '../../tools/databases/databases'
import { lightSocket, liveClient, startLive, until } from '../../tools/clients/live'
import { ServerProcess } from '../../tools/programs/processes'
import { onEnd } from '../../tools/servers/server'
import { TcpProxy } from '../../tools/proxies/tcpProxy'

test('after five seconds without network, the client hears missed and new messages', async () => {
  const { host, server } = await startLive()
  const line = new TcpProxy({ host: '127.0.0.1', port: server.port })
  await line.open()
  onEnd(async () => {
    await line.set('refuse')
  })
  const listener = await liveClient(`http://127.0.0.1:${line.port}`)
  const sender = await newClient(host)
  const heard: unknown[] = []
  await listener.client.listenForLiveMessages({
    messageBox: 'inbox',
    onMessage: ({ body }) => {
      heard.push(body)
    },
  })
  const send = async (body: string): Promise<unknown> =>
    await sender.client.sendMessage(
      { recipient: listener.identityKey, messageBox: 'inbox', body },
      host,
    )
  await send('before')
  await until(() => heard.includes('before'))

  await line.set('refuse')
  await send('meanwhile')
  await pause(5000)
  await line.set('up')

  await until(() => heard.includes('meanwhile'))
  await send('after')
  await until(() => heard.includes('after'))
  expect(heard).toEqual(['before', 'meanwhile', 'after'])
  expect(await listener.client.listMessages({ messageBox: 'inbox', host })).toHaveLength(3)
})

test('after a kill and restart, the client hears new messages and none is lost', async () => {
  const database = await createDatabase('sqlite')
  const server = await ServerProcess.start({ env: { ...database.env, ENABLE_WEBSOCKETS: 'true' } })
  onEnd(async () => {
    await server.kill()
    await database.drop()
  })
  const host = server.origin
  const listener = await liveClient(host)
  const sender = await newClient(host)
  const heard: string[] = []
  for (const messageBox of ['inbox', 'other-box']) {
    await listener.client.listenForLiveMessages({
      messageBox,
      onMessage: ({ body }) => {
        heard.push(String(body))
      },
    })
  }
  const send = async (body: string, messageBox = 'inbox'): Promise<unknown> =>
    await sender.client.sendMessage({ recipient: listener.identityKey, messageBox, body }, host)
  await send('before')
  await until(() => heard.includes('before'))

  await server.kill()
  await pause(6000)
  await server.start()
  await send('while it is away')

  // The client reconnects by itself and shows the server its rooms.
  let sent = 0
  await until(async () => {
    await send(`again ${sent++}`)
    return heard.some((body) => body.startsWith('again'))
  }, 30_000)
  await send('elsewhere', 'other-box')
  await until(() => heard.includes('elsewhere'))
  expect(await listener.client.listMessages({ messageBox: 'inbox', host })).toHaveLength(2 + sent)
})

test('a session that the server started on one socket works on another', async () => {
  const { origin, server } = await startLive({ live: { silenceMs: 50 } })
  const first = lightSocket(origin)
  await until(() => first.serverNonce !== '')
  const { port } = server
  // The second socket shares no state with the first, as if it were on another node.
  const second = lightSocket(`http://127.0.0.1:${port}`)
  await new Promise<void>((resolve) => second.raw.once('connect', resolve))
  Object.assign(second, {
    wallet: first.wallet,
    serverKey: first.serverKey,
    serverNonce: first.serverNonce,
  })

  second.emit('joinRoom', `${second.identityKey}-inbox`)

  expect(await second.next('joinedRoom')).toEqual({ roomId: `${second.identityKey}-inbox` })
})
