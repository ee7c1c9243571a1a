import { describe, expect, test } from '@jest/globals'
import { EVERY_RELEASE, type Release } from '../../tools/clients/clients'
import { ENGINES } from '../../tools/databases/databases'
import { liveClient, startLive, until } from '../../tools/clients/live'

/** A message as the client passes it to its listener. */
type Message = { body: unknown; sender: string; messageId: string }

describe.each(ENGINES)('released clients, live, on %s', (engine) => {
  const releases: Release[] = engine === 'sqlite' ? EVERY_RELEASE : ['2.1.1']

  test(`listen and send: ${releases.join(', ')}`, async () => {
    const { host } = await startLive({ engine })
    // Concurrently, since each takes seconds to connect.
    await Promise.all(
      releases.map(async (release) => {
        await listenAndSend(host, release)
      }),
    )
  })
})

async function listenAndSend(host: string, release: Release): Promise<void> {
  const alice = await liveClient(host, { release })
  const bob = await liveClient(host, { release })
  const heard: Message[] = []
  // Clients before 2.1 always take five seconds to connect.
  await Promise.all([
    bob.client.listenForLiveMessages({
      messageBox: 'chat-room',
      onMessage: (message) => {
        heard.push(message)
      },
    }),
    alice.client.initializeConnection(),
  ])
  const encrypted = await alice.client.sendLiveMessage(
    { recipient: bob.identityKey, messageBox: 'chat-room', body: 'for your eyes only' },
    host,
  )
  const plain = await alice.client.sendLiveMessage(
    {
      recipient: bob.identityKey,
      messageBox: 'chat-room',
      body: 'for everybody',
      skipEncryption: true,
    },
    host,
  )

  await until(() => heard.length === 2)
  expect(heard).toMatchObject([
    { body: 'for your eyes only', sender: alice.identityKey, messageId: encrypted.messageId },
    // Clients before 2.1 do not support plain messages.
    {
      sender: alice.identityKey,
      messageId: plain.messageId,
      ...(release === '2.1.1' && { body: 'for everybody' }),
    },
  ])
  expect(await bob.client.listMessages({ messageBox: 'chat-room', host })).toHaveLength(2)
}

test('a listener also hears a message that was sent over HTTP', async () => {
  const { host } = await startLive()
  const alice = await liveClient(host)
  const bob = await liveClient(host)
  const heard: Message[] = []
  await bob.client.listenForLiveMessages({
    messageBox: 'inbox',
    onMessage: (message) => {
      heard.push(message)
    },
  })

  await alice.client.sendMessage(
    { recipient: bob.identityKey, messageBox: 'inbox', body: 'by post' },
    host,
  )

  await until(() => heard.length === 1)
  expect(heard).toMatchObject([{ body: 'by post', sender: alice.identityKey }])
})

test('clients of every release hear messages again after a restart of the server', async () => {
  const live = await startLive()
  const listeners = await Promise.all(
    EVERY_RELEASE.map(async (release) => {
      const { client, identityKey } = await liveClient(live.host, { release })
      const heard: unknown[] = []
      await client.listenForLiveMessages({
        messageBox: 'inbox',
        onMessage: ({ body }) => {
          heard.push(body)
        },
      })
      return { release, identityKey, heard }
    }),
  )
  const alice = await liveClient(live.host)
  const sendToAll = async (body: string): Promise<void> => {
    for (const { identityKey } of listeners)
      await alice.client.sendMessage(
        { recipient: identityKey, messageBox: 'inbox', body },
        live.host,
      )
  }
  await sendToAll('before')
  await until(() => listeners.every(({ heard }) => heard.length === 1))

  await live.restart()
  await until(() => live.server.context.hub.size === listeners.length)
  await sendToAll('after')

  await until(() => listeners.every(({ heard }) => heard.length === 2)).catch(() => {})
  expect(listeners.map(({ release, heard }) => [release, heard])).toEqual(
    EVERY_RELEASE.map((release) => [release, ['before', 'after']]),
  )
})

test('a client hears no message after leaveRoom', async () => {
  const { host } = await startLive()
  const alice = await liveClient(host)
  const bob = await liveClient(host)
  const heard: Message[] = []
  await bob.client.listenForLiveMessages({
    messageBox: 'left',
    onMessage: (message) => {
      heard.push(message)
    },
  })
  await bob.client.listenForLiveMessages({
    messageBox: 'stayed',
    onMessage: (message) => {
      heard.push(message)
    },
  })
  await bob.client.leaveRoom('left')
  // The server handles a client's frames in order: after this answer, the client has left the room.
  await bob.client.sendLiveMessage(
    { recipient: bob.identityKey, messageBox: 'other', body: 'x' },
    host,
  )

  await alice.client.sendLiveMessage(
    { recipient: bob.identityKey, messageBox: 'left', body: 'unheard' },
    host,
  )
  await alice.client.sendLiveMessage(
    { recipient: bob.identityKey, messageBox: 'stayed', body: 'heard' },
    host,
  )

  await until(() => heard.length > 0)
  expect(heard.map((message) => message.body)).toEqual(['heard'])
})

test.each<[string, { body: string; skipEncryption?: boolean; messageId?: string }]>([
  ['is too large for the socket', { body: 'x'.repeat(1_100_000), skipEncryption: true }],
  ['is far too large for the socket', { body: 'x'.repeat(4_700_000), skipEncryption: true }],
  ['has a used id', { body: 'x', messageId: 'taken' }],
])('a send that %s falls back to HTTP at once', async (_name, message) => {
  const { host } = await startLive()
  const alice = await liveClient(host)
  const bob = await liveClient(host)
  await bob.client.sendMessage(
    { recipient: bob.identityKey, messageBox: 'inbox', messageId: 'taken', body: 'first' },
    host,
  )
  await alice.client.initializeConnection()
  const requests: string[] = []
  let fellBackAt = Infinity
  const { authFetch } = alice.client
  const fetch = authFetch.fetch.bind(authFetch)
  authFetch.fetch = async (url, config) => {
    requests.push(url)
    fellBackAt = Date.now()
    return await fetch(url, config)
  }
  const since = Date.now()

  const sent = alice.client.sendLiveMessage(
    { recipient: bob.identityKey, messageBox: 'inbox', ...message },
    host,
  )

  if (message.messageId === 'taken') await expect(sent).rejects.toThrow('400')
  else await expect(sent).resolves.toMatchObject({ status: 'success' })
  expect(requests).toEqual([`${host}/sendMessage`])
  // Without an answer, the client waits for ten seconds after it has encrypted and sent.
  expect(fellBackAt - since).toBeLessThan(10_000)
})

test.each([
  ['', ''],
  ['/api', ''],
  ['', '/'],
  ['/api', '/'],
])(
  'a client works under the routing prefix "%s" if its host ends in it and "%s"',
  async (prefix, end) => {
    const running = await startLive({ env: { ROUTING_PREFIX: prefix } })
    const host = `${running.host}${end}`
    const alice = await liveClient(host)
    const bob = await liveClient(host)
    const heard: Message[] = []
    await bob.client.listenForLiveMessages({
      messageBox: 'inbox',
      onMessage: (message) => {
        heard.push(message)
      },
    })

    await alice.client.sendLiveMessage(
      { recipient: bob.identityKey, messageBox: 'inbox', body: 'under a prefix' },
      host,
    )

    await until(() => heard.length === 1)
    expect(heard).toMatchObject([{ body: 'under a prefix' }])
    expect(await bob.client.listMessages({ messageBox: 'inbox', host })).toHaveLength(1)
    await bob.client.sendMessage(
      { recipient: alice.identityKey, messageBox: 'inbox', body: 'over HTTP' },
      host,
    )
    const [message] = await alice.client.listMessages({ messageBox: 'inbox', host })
    await alice.client.acknowledgeMessage({ messageIds: [message!.messageId], host })
    expect(await alice.client.listMessages({ messageBox: 'inbox', host })).toEqual([])
  },
)

test('the largest live message is heard; a larger one stays in its box', async () => {
  const { host } = await startLive()
  const alice = await liveClient(host)
  const heard: Message[] = []
  await alice.client.listenForLiveMessages({
    messageBox: 'large',
    onMessage: (message) => {
      heard.push(message)
    },
  })
  const send = async (body: string): Promise<unknown> =>
    await alice.client.sendLiveMessage(
      { recipient: alice.identityKey, messageBox: 'large', body, skipEncryption: true },
      host,
    )
  const [largest, larger] = ['m'.repeat(1_047_000), 'n'.repeat(1024 * 1024)]

  expect(await send(larger)).toMatchObject({ status: 'success' })
  await send(largest)

  await until(() => heard.length === 1)
  expect(heard[0]!.body === largest).toBe(true)
  expect(
    (await alice.client.listMessages({ messageBox: 'large', host })).map(({ body }) => body.length),
  ).toEqual([larger.length, largest.length])
})
