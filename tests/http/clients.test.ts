import { describe, expect, test } from '@jest/globals'
import { PrivateKey } from '@bsv/sdk'
import { messagesIn } from '../../tools/clients/caller'
import { EVERY_RELEASE, newClient } from '../../tools/clients/clients'
import { ENGINES } from '../../tools/databases/databases'
import { startServer } from '../../tools/servers/server'

describe.each(ENGINES)('released clients on %s', (engine) => {
  test.each(EVERY_RELEASE)('%s sends, sends again, lists and acknowledges', async (release) => {
    const { host } = await startServer({ engine })
    const alice = await newClient(host, { release })
    const bob = await newClient(host, { release })
    const message = {
      recipient: bob.identityKey,
      messageBox: 'inbox',
      body: { greeting: 'hello', to: 'Bob' },
    }
    const { messageId } = await alice.client.sendMessage(message, host)
    await alice.client.sendMessage(message, host)

    const messages = await bob.client.listMessages({ messageBox: 'inbox', host })

    expect(messages).toMatchObject([{ messageId, sender: alice.identityKey, body: message.body }])
    await bob.client.acknowledgeMessage({ messageIds: [messageId], host })
    expect(await bob.client.listMessages({ messageBox: 'inbox', host })).toEqual([])
  })

  test('the server stores an encrypted message without its plain text', async () => {
    const { host, server } = await startServer({ engine })
    const alice = await newClient(host)
    await alice.client.sendMessage(
      { recipient: alice.identityKey, messageBox: 'notes', body: 'to myself' },
      host,
    )

    const messages = await messagesIn(server.context.mailbox, alice.identityKey, 'notes')

    expect(messages[0]!.body).toContain('encryptedMessage')
    expect(messages[0]!.body).not.toContain('to myself')
    expect(await alice.client.listMessages({ messageBox: 'notes', host })).toMatchObject([
      { body: 'to myself' },
    ])
  })

  test.each([
    ['a text', 'plain text'],
    ['a text that holds JSON', '{"a":1}'],
    ['a text that looks like a payment wrapper', '{"message":"inner","payment":{"tx":[1]}}'],
    ['an object with a key "message"', { message: 'inner', payment: { tx: [1] } }],
  ])('a plain message is listed as it was sent: %s', async (_name, body) => {
    const { host } = await startServer({ engine })
    const alice = await newClient(host)
    await alice.client.sendMessage(
      { recipient: alice.identityKey, messageBox: 'plain', body, skipEncryption: true },
      host,
    )

    const [message] = await alice.client.listMessages({
      messageBox: 'plain',
      host,
      acceptPayments: false,
    })

    // The client parses every text that is JSON.
    expect(message!.body).toEqual(
      body === 'plain text' ? body : typeof body === 'string' ? JSON.parse(body) : body,
    )
  })

  test('the recipient receives the payment sent with a message', async () => {
    const { host } = await startServer({ engine })
    const alice = await newClient(host)
    const bob = await newClient(host)
    const payment = {
      tx: [1, 2, 3],
      outputs: [{ outputIndex: 0, protocol: 'wallet payment' }],
      description: 'for the letter',
    }
    const body = { greeting: 'hello' }
    await alice.client.authFetch.fetch(`${host}/sendMessage`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        message: { recipient: bob.identityKey, messageBox: 'inbox', messageId: 'paid', body },
        payment,
      }),
    })
    const internalized: unknown[] = []
    Object.assign(bob.wallet, {
      internalizeAction: async (args: unknown) => {
        internalized.push(args)
        return { accepted: true }
      },
    })

    expect(await bob.client.listMessages({ messageBox: 'inbox', host })).toMatchObject([
      { messageId: 'paid', body },
    ])
    expect(internalized).toEqual([payment])
  })

  test('a body of 1 MB is sent and listed', async () => {
    const { host } = await startServer({ engine })
    const alice = await newClient(host)
    const body = `${'ä"\'\\'.repeat(200_000)}${'x'.repeat(200_000)}`
    await alice.client.sendMessage(
      { recipient: alice.identityKey, messageBox: 'large', body, skipEncryption: true },
      host,
    )

    const [message] = await alice.client.listMessages({ messageBox: 'large', host })

    expect(message!.body).toBe(body)
  })

  test('each spelling of a name is a separate box', async () => {
    const { host } = await startServer({ engine })
    const alice = await newClient(host)
    const names = [
      'box',
      'Box',
      'böx',
      'box-with-hyphens',
      'box with spaces',
      'bo\u0308x',
      'ＢＯＸ',
      'box\u00a0',
      '📦',
      'ß',
      'ss',
    ]
    for (const messageBox of names) {
      await alice.client.sendMessage(
        {
          recipient: alice.identityKey,
          messageBox,
          messageId: `id of ${messageBox}`,
          body: messageBox,
        },
        host,
      )
    }

    for (const messageBox of names) {
      const messages = await alice.client.listMessages({ messageBox, host })
      // The client trims a box's name; a no-break space counts as white space.
      if (messageBox === 'box' || messageBox === 'box\u00a0')
        expect(messages.map((message) => message.body)).toEqual(['box', 'box\u00a0'])
      else expect(messages.map((message) => message.body)).toEqual([messageBox])
    }
  })

  test('after a restart the client needs no new handshake', async () => {
    const running = await startServer({ engine })
    const alice = await newClient(running.host)
    const message = { recipient: alice.identityKey, messageBox: 'inbox', body: 'before' }
    await alice.client.sendMessage(message, running.host)
    const { peers } = alice.client.authFetch as unknown as {
      peers: Record<string, { peer: object }>
    }
    const before = Object.values(peers)[0]!.peer

    await running.restart()
    await alice.client.sendMessage({ ...message, body: 'after' }, running.host)

    expect(Object.values(peers)[0]!.peer).toBe(before)
    expect(
      await alice.client.listMessages({ messageBox: 'inbox', host: running.host }),
    ).toHaveLength(2)
  })

  test('two devices of one identity send concurrently', async () => {
    const { host } = await startServer({ engine })
    const key = PrivateKey.fromRandom()
    const devices = await Promise.all([newClient(host, { key }), newClient(host, { key })])
    await Promise.all(
      devices.map(async ({ client, identityKey }, device) => {
        for (let i = 0; i < 10; i++)
          await client.sendMessage(
            { recipient: identityKey, messageBox: 'inbox', messageId: `${device} ${i}`, body: 'x' },
            host,
          )
      }),
    )

    const lists = await Promise.all(
      devices.map(async ({ client }) => await client.listMessages({ messageBox: 'inbox', host })),
    )

    expect(lists.map((list) => list.length)).toEqual([20, 20])
  })
})
