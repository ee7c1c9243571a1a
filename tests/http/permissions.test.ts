import { PrivateKey } from '@bsv/sdk'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { newClient, type TestClient } from '../../tools/clients/clients'
import { ENGINES } from '../../tools/databases/databases'
import { LightSocket } from '../../tools/clients/lightSocket'
import { expectRefusal } from '../../tools/contract/refusals'
import { joinServer, onEnd, startServer, type TestServer } from '../../tools/servers/server'
import {
  handshake,
  post,
  sign,
  submit,
  type Answer,
  type HandSession,
} from '../../tools/clients/signedRequests'

const newKey = (): string => PrivateKey.fromRandom().toPublicKey().toString()
const set = async (session: HandSession, rule: unknown): Promise<Answer> =>
  await post(session, '/permissions/set', rule)
const get = async (
  session: HandSession,
  operation: string,
  query: Record<string, string | string[]>,
): Promise<Answer> => {
  const search = new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) =>
      [value].flat().map((one): [string, string] => [name, one]),
    ),
  )
  return await submit(
    session,
    await sign(session, {
      method: 'GET',
      target: `/permissions/${operation}${search.size === 0 ? '' : `?${search.toString()}`}`,
    }),
  )
}
const send = async (
  session: HandSession,
  recipient: string | string[],
  messageBox: string,
): Promise<Answer> => {
  const messageId = [recipient].flat().map(() => PrivateKey.fromRandom().toHex())
  return await post(session, '/sendMessage', {
    message: { recipient, messageBox, messageId, body: 'hello' },
  })
}

describe.each(ENGINES)('permissions on %s', (engine) => {
  let server: TestServer
  let alice: HandSession
  let bob: HandSession

  beforeAll(async () => {
    server = await startServer({ engine, env: { DELIVERY_FEES: 'posted=7' } })
    alice = await handshake(server.origin)
    bob = await handshake(server.origin)
  })

  describe('set', () => {
    test.each<[string, unknown, string]>([
      ['nothing', {}, 'ERR_INVALID_REQUEST'],
      ['no box', { recipientFee: 0 }, 'ERR_INVALID_REQUEST'],
      ['no fee', { messageBox: 'x' }, 'ERR_INVALID_REQUEST'],
      ['a fee as a text', { messageBox: 'x', recipientFee: '5' }, 'ERR_INVALID_REQUEST'],
      ['a box that is not a text', { messageBox: 5, recipientFee: 5 }, 'ERR_INVALID_REQUEST'],
      ['a fee of null', { messageBox: 'x', recipientFee: null }, 'ERR_INVALID_REQUEST'],
      ['an array', [], 'ERR_INVALID_REQUEST'],
      [
        'a sender that is not a key',
        { messageBox: 'x', recipientFee: 5, sender: 'me' },
        'ERR_INVALID_PUBLIC_KEY',
      ],
      [
        'a sender key off the curve',
        { messageBox: 'x', recipientFee: 5, sender: `02${'f'.repeat(64)}` },
        'ERR_INVALID_PUBLIC_KEY',
      ],
      [
        'a sender that is a number',
        { messageBox: 'x', recipientFee: 5, sender: 5 },
        'ERR_INVALID_PUBLIC_KEY',
      ],
      ['a fraction of a satoshi', { messageBox: 'x', recipientFee: 0.5 }, 'ERR_INVALID_FEE_VALUE'],
      ['-2', { messageBox: 'x', recipientFee: -2 }, 'ERR_INVALID_FEE_VALUE'],
      ['1e300', { messageBox: 'x', recipientFee: 1e300 }, 'ERR_INVALID_FEE_VALUE'],
      ['4,000,000,000', { messageBox: 'x', recipientFee: 4_000_000_000 }, 'ERR_INVALID_FEE_VALUE'],
      ['2^31', { messageBox: 'x', recipientFee: 2 ** 31 }, 'ERR_INVALID_FEE_VALUE'],
      ['a blank box', { messageBox: '  ', recipientFee: 5 }, 'ERR_INVALID_MESSAGE_BOX'],
      ['an empty box', { messageBox: '', recipientFee: 5 }, 'ERR_INVALID_MESSAGE_BOX'],
      [
        'a box name that is too long',
        { messageBox: 'x'.repeat(256), recipientFee: 5 },
        'ERR_INVALID_MESSAGE_BOX',
      ],
    ])('rejects %s', async (_name, rule, code) => {
      expectRefusal(await set(alice, rule), 400, code)
    })

    test('describes the effect of the rule', async () => {
      const sender = newKey()
      expect((await set(alice, { messageBox: 'said', recipientFee: -1, sender })).body).toEqual({
        status: 'success',
        description: `${sender} is blocked from "said".`,
      })
      expect(
        (await set(alice, { messageBox: 'dear', recipientFee: 2 ** 31 - 1 })).body.description,
      ).toBe('Every sender pays 2147483647 satoshis for each message to "dear".')
      expect((await set(alice, { messageBox: ' said ', recipientFee: 10 })).body.description).toBe(
        'Every sender pays 10 satoshis for each message to "said".',
      )
    })
  })

  test('get: returns exactly this rule, or null', async () => {
    const sender = newKey()
    await set(alice, { messageBox: 'got', recipientFee: 5 })
    await set(alice, { messageBox: 'got', recipientFee: 0, sender: sender.toUpperCase() })

    expect((await get(alice, 'get', { messageBox: 'got' })).body).toEqual({
      status: 'success',
      description: expect.stringMatching(/\w/),
      permission: {
        sender: null,
        messageBox: 'got',
        recipientFee: 5,
        status: 'payment_required',
        createdAt: expect.stringMatching(/Z$/),
        updatedAt: expect.stringMatching(/Z$/),
      },
    })
    expect((await get(alice, 'get', { messageBox: 'got', sender })).body.permission).toMatchObject({
      sender,
      recipientFee: 0,
      status: 'always_allow',
    })
    expect(
      (await get(alice, 'get', { messageBox: 'got', sender: newKey() })).body.permission,
    ).toBeNull()
    expect((await get(bob, 'get', { messageBox: 'got' })).body.permission).toBeNull()
    expectRefusal(await get(alice, 'get', { sender }), 400, 'ERR_MISSING_PARAMETERS')
    expectRefusal(
      await get(alice, 'get', { messageBox: 'got', sender: 'me' }),
      400,
      'ERR_INVALID_PUBLIC_KEY',
    )
    expectRefusal(await get(alice, 'get', { messageBox: ' ' }), 400, 'ERR_INVALID_MESSAGE_BOX')
    expectRefusal(
      await get(alice, 'get', { messageBox: ['a', 'b'] }),
      400,
      'ERR_INVALID_MESSAGE_BOX',
    )
  })

  test('list: sorted by box, rules for all senders first, both spellings, in pages', async () => {
    const carol = await handshake(server.origin)
    const senders = [newKey(), newKey()].sort()
    for (const messageBox of ['b', 'a']) {
      for (const sender of [senders[1], undefined, senders[0]])
        await set(carol, { messageBox, recipientFee: 3, sender })
    }

    const { body } = await get(carol, 'list', {})
    const permissions = body.permissions as Array<Record<string, unknown>>
    expect(permissions.map(({ messageBox, sender }) => [messageBox, sender])).toEqual(
      ['a', 'b'].flatMap((box) => [null, ...senders].map((sender) => [box, sender])),
    )
    expect(body.totalCount).toBe(6)
    for (const {
      messageBox,
      message_box,
      recipientFee,
      recipient_fee,
      createdAt,
      created_at,
      updatedAt,
      updated_at,
      status,
    } of permissions) {
      expect([message_box, recipient_fee, created_at, updated_at, status]).toEqual([
        messageBox,
        recipientFee,
        createdAt,
        updatedAt,
        'payment_required',
      ])
    }
    expect((await get(carol, 'list', { limit: '2', offset: '3' })).body).toMatchObject({
      totalCount: 6,
      permissions: [
        { messageBox: 'b', sender: null },
        { messageBox: 'b', sender: senders[0] },
      ],
    })
    expect(
      (await get(carol, 'list', { message_box: 'a', createdAtOrder: 'desc' })).body.totalCount,
    ).toBe(3)
    expect((await get(carol, 'list', { messageBox: 'b', limit: '1000' })).body.totalCount).toBe(3)
    for (const limit of ['0', '1001', '-1', 'all', '1.5', '1e2'])
      expectRefusal(await get(carol, 'list', { limit }), 400, 'ERR_INVALID_LIMIT')
    for (const offset of ['-1', 'x', '1.5'])
      expectRefusal(await get(carol, 'list', { offset }), 400, 'ERR_INVALID_OFFSET')
  })

  describe('quote', () => {
    test("for one recipient: the server's fee and the recipient's fee", async () => {
      expect(
        (await get(bob, 'quote', { recipient: alice.identityKey, messageBox: 'nothing' })).body,
      ).toEqual({
        status: 'success',
        description: expect.stringMatching(/\w/),
        quote: { deliveryFee: 0, recipientFee: 0 },
      })
      await set(alice, { messageBox: 'posted', recipientFee: 5 })
      await set(alice, { messageBox: 'posted', recipientFee: -1, sender: bob.identityKey })
      expect(
        (await get(bob, 'quote', { recipient: alice.identityKey, messageBox: 'posted' })).body
          .quote,
      ).toEqual({ deliveryFee: 7, recipientFee: -1 })
      expect(
        (await get(alice, 'quote', { recipient: alice.identityKey, messageBox: 'posted' })).body
          .quote,
      ).toEqual({ deliveryFee: 7, recipientFee: 5 })
    })

    test('for several recipients: a quote each and the totals, with one delivery fee', async () => {
      const recipients = await Promise.all(
        [1, 2, 3].map(async () => await handshake(server.origin)),
      )
      for (const [index, recipientFee] of [4, -1, 0].entries())
        await set(recipients[index]!, { messageBox: 'posted', recipientFee })
      const [one, two, three] = recipients.map(({ identityKey }) => identityKey) as [
        string,
        string,
        string,
      ]

      expect(
        (await get(bob, 'quote', { recipient: [one, two, three, one], messageBox: 'posted' })).body,
      ).toEqual({
        status: 'success',
        description: expect.stringMatching(/\w/),
        quotesByRecipient: [
          {
            recipient: one,
            messageBox: 'posted',
            deliveryFee: 7,
            recipientFee: 4,
            status: 'payment_required',
          },
          {
            recipient: two,
            messageBox: 'posted',
            deliveryFee: 7,
            recipientFee: -1,
            status: 'blocked',
          },
          {
            recipient: three,
            messageBox: 'posted',
            deliveryFee: 7,
            recipientFee: 0,
            status: 'always_allow',
          },
        ],
        totals: { deliveryFees: 7, recipientFees: 4, totalForPayableRecipients: 11 },
        blockedRecipients: [two],
      })
    })

    test('rejects invalid requests', async () => {
      const key = newKey()
      expectRefusal(await get(bob, 'quote', { messageBox: 'x' }), 400, 'ERR_MISSING_PARAMETERS')
      expectRefusal(await get(bob, 'quote', { recipient: key }), 400, 'ERR_MISSING_PARAMETERS')
      expectRefusal(
        await get(bob, 'quote', {
          recipient: [key, 'x', key, `04${'0'.repeat(128)}`],
          messageBox: 'x',
        }),
        400,
        'ERR_INVALID_PUBLIC_KEY',
        { invalidIndexes: [1, 3] },
      )
      expectRefusal(
        await get(bob, 'quote', { recipient: key, messageBox: ' ' }),
        400,
        'ERR_INVALID_MESSAGE_BOX',
      )
      expectRefusal(
        await get(bob, 'quote', {
          recipient: Array.from({ length: 101 }, () => key),
          messageBox: 'x',
        }),
        400,
        'ERR_TOO_MANY_RECIPIENTS',
      )
    })

    test('writes nothing to the database', async () => {
      const { knex } = server.server.context
      const statements: string[] = []
      const listen = ({ sql }: { sql: string }): void => {
        statements.push(sql)
      }
      knex.on('query', listen)
      await get(bob, 'quote', { recipient: [newKey(), newKey()], messageBox: 'x' })
      await get(bob, 'get', { messageBox: 'x' })
      await get(bob, 'list', {})
      knex.off('query', listen)
      expect(statements.length).toBeGreaterThan(0)
      expect(statements.filter((sql) => !/^select/i.test(sql))).toEqual([])
    })
  })

  describe('precedence and effect', () => {
    test("the latest rule applies, and a sender's rule wins over the general rule", async () => {
      const [owner, friend, stranger] = (await Promise.all(
        [1, 2, 3].map(async () => await handshake(server.origin)),
      )) as [HandSession, HandSession, HandSession]
      await get(stranger, 'quote', { recipient: owner.identityKey, messageBox: 'door' })
      await set(owner, { messageBox: 'door', recipientFee: 0 })
      await set(owner, { messageBox: 'door', recipientFee: -1 })
      await set(owner, { messageBox: 'door', recipientFee: 0, sender: friend.identityKey })

      expect((await send(friend, owner.identityKey, 'door')).status).toBe(200)
      expectRefusal(await send(stranger, owner.identityKey, 'door'), 403, 'ERR_DELIVERY_BLOCKED', {
        blockedRecipients: [owner.identityKey],
      })
      expect((await send(stranger, owner.identityKey, 'window')).status).toBe(200)
      await set(owner, { messageBox: 'door', recipientFee: -1, sender: friend.identityKey })
      await set(owner, { messageBox: 'door', recipientFee: 0 })
      expectRefusal(await send(friend, owner.identityKey, 'door'), 403, 'ERR_DELIVERY_BLOCKED', {
        blockedRecipients: [owner.identityKey],
      })
      expect((await send(stranger, owner.identityKey, 'door')).status).toBe(200)
    })

    test('if one recipient blocks the sender, no recipient gets the message', async () => {
      const [open, closed, sender] = (await Promise.all(
        [1, 2, 3].map(async () => await handshake(server.origin)),
      )) as [HandSession, HandSession, HandSession]
      await set(closed, { messageBox: 'inbox', recipientFee: -1 })

      expectRefusal(
        await send(sender, [open.identityKey, closed.identityKey], 'inbox'),
        403,
        'ERR_DELIVERY_BLOCKED',
        { blockedRecipients: [closed.identityKey] },
      )
      expect((await post(open, '/listMessages', { messageBox: 'inbox' })).body.messages).toEqual([])
    })

    test('concurrent sets on two nodes leave one rule per sender', async () => {
      const [owner, sender] = [await handshake(server.origin), newKey()]
      const other = await joinServer(server)

      await Promise.all(
        Array.from({ length: 40 }, async (_value, index) => {
          return await set(
            { ...owner, origin: index % 2 === 0 ? server.origin : other.origin },
            { messageBox: 'race', recipientFee: index, ...(index % 4 < 2 && { sender }) },
          )
        }),
      )

      expect((await get(owner, 'list', {})).body).toMatchObject({
        totalCount: 2,
        permissions: [{ sender: null }, { sender }],
      })
    })

    test('if the database cannot read the rules, sends and quotes are rejected', async () => {
      const broken = await startServer({ engine })
      const [owner, sender] = [await handshake(broken.origin), await handshake(broken.origin)]
      await broken.server.context.knex.schema.renameTable('permissions', 'elsewhere')

      expectRefusal(await send(sender, owner.identityKey, 'inbox'), 503, 'ERR_UNAVAILABLE')
      expectRefusal(
        await get(sender, 'quote', { recipient: owner.identityKey, messageBox: 'inbox' }),
        503,
        'ERR_UNAVAILABLE',
      )
      await broken.server.context.knex.schema.renameTable('elsewhere', 'permissions')
      expect((await post(owner, '/listMessages', { messageBox: 'inbox' })).body.messages).toEqual(
        [],
      )
    })

    test('a block also applies to live messages', async () => {
      const live = await startServer({ engine, env: { ENABLE_WEBSOCKETS: 'true' } })
      const owner = await handshake(live.origin)
      await set(owner, { messageBox: 'inbox', recipientFee: -1 })
      const socket = await new LightSocket(live.origin).authenticate()
      onEnd(() => {
        socket.close()
      })
      const roomId = `${owner.identityKey}-inbox`

      socket.emit('sendMessage', {
        roomId,
        message: { messageId: 'id', recipient: owner.identityKey, body: 'hello' },
      })

      expect(await socket.next(`sendMessageAck-${roomId}`)).toMatchObject({
        status: 'error',
        code: 'ERR_DELIVERY_BLOCKED',
        blockedRecipients: [owner.identityKey],
        messageId: 'id',
      })
    })
  })

  describe('the released client', () => {
    let recipient: TestClient
    let sender: TestClient

    beforeAll(async () => {
      recipient = await newClient(server.origin)
      sender = await newClient(server.origin)
    })

    test('sets, gets and lists rules with every field present', async () => {
      await recipient.client.setMessageBoxPermission({
        messageBox: 'notifications',
        recipientFee: 10,
      })
      await recipient.client.allowNotificationsFromPeer(sender.identityKey)
      await recipient.client.denyNotificationsFromPeer(newKey())

      expect(
        await recipient.client.getMessageBoxPermission(
          { recipient: recipient.identityKey, messageBox: 'notifications' },
          server.origin,
        ),
      ).toMatchObject({
        sender: null,
        messageBox: 'notifications',
        recipientFee: 10,
        status: 'payment_required',
      })
      expect(
        await recipient.client.checkPeerNotificationStatus(sender.identityKey, server.origin),
      ).toMatchObject({ recipientFee: 0, status: 'always_allow' })
      expect(await recipient.client.checkPeerNotificationStatus(newKey(), server.origin)).toBeNull()
      const listed = await recipient.client.listMessageBoxPermissions({
        messageBox: 'notifications',
        limit: 10,
        offset: 0,
      })
      expect(listed).toHaveLength(3)
      for (const permission of listed) {
        expect(permission).toEqual({
          sender: permission.sender === null ? null : expect.stringMatching(/^0[23]/),
          messageBox: 'notifications',
          recipientFee: expect.any(Number),
          status: expect.stringMatching(/^(always_allow|blocked|payment_required)$/),
          createdAt: expect.stringMatching(/Z$/),
          updatedAt: expect.stringMatching(/Z$/),
        })
      }
      expect(await recipient.client.listPeerNotifications(server.origin)).toHaveLength(3)
      expect(await recipient.client.listMessageBoxPermissions()).toHaveLength(3)
    })

    test('gets quotes for one and for several recipients', async () => {
      const { identityKey } = server.server.context.serverKey
      expect(
        await sender.client.getMessageBoxQuote(
          { recipient: recipient.identityKey, messageBox: 'notifications' },
          server.origin,
        ),
      ).toEqual({ recipientFee: 0, deliveryFee: 0, deliveryAgentIdentityKey: identityKey })
      const other = newKey()
      expect(
        await sender.client.getMessageBoxQuote(
          { recipient: [recipient.identityKey, other], messageBox: 'posted' },
          server.origin,
        ),
      ).toMatchObject({
        quotesByRecipient: [
          { recipient: recipient.identityKey, deliveryFee: 7 },
          { recipient: other, recipientFee: 0 },
        ],
        blockedRecipients: [],
        deliveryAgentIdentityKeyByHost: { [server.origin]: identityKey },
      })
    })

    test('sends if the permission check allows it, and reports a block', async () => {
      const message = {
        recipient: recipient.identityKey,
        messageBox: 'notifications',
        body: 'hello',
        checkPermissions: true,
      }
      await sender.client.sendMessage(message, server.origin)
      await recipient.client.denyNotificationsFromPeer(sender.identityKey, server.origin)
      await expect(
        sender.client.sendMessage({ ...message, body: 'hello again' }, server.origin),
      ).rejects.toThrow(/blocked/)
      expect(
        await recipient.client.listMessages({ messageBox: 'notifications', host: server.origin }),
      ).toMatchObject([{ body: 'hello' }])
    })
  })
})
