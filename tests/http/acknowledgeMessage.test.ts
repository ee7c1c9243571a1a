import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { callerOf, messagesIn } from '../../tools/clients/caller'
import { ENGINES } from '../../tools/databases/databases'
import { expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, type Answer, type HandSession } from '../../tools/clients/signedRequests'

const acknowledge = async (session: HandSession, request: unknown): Promise<Answer> =>
  await post(session, '/acknowledgeMessage', request)

/** Stores one message from the recipient to itself under each id. */
async function fill(
  { server }: TestServer,
  recipient: string,
  ids: string[],
  messageBox = 'inbox',
): Promise<void> {
  for (const id of ids) {
    await server.context.mailbox.send(callerOf(recipient), {
      recipients: [recipient],
      messageIds: [id],
      messageBox,
      body: id,
      isText: true,
    })
  }
}

async function left(
  { server }: TestServer,
  recipient: string,
  messageBox = 'inbox',
): Promise<string[]> {
  const messages = await messagesIn(server.context.mailbox, recipient, messageBox)
  return messages.map((message) => message.messageId)
}

describe.each(ENGINES)('POST /acknowledgeMessage on %s', (engine) => {
  let server: TestServer
  let alice: HandSession

  beforeAll(async () => {
    server = await startServer({ engine })
  })

  beforeEach(async () => {
    alice = await handshake(server.origin)
    await fill(server, alice.identityKey, ['one', 'two', 'three'])
  })

  test.each<[string, string, unknown]>([
    ['nothing', 'ERR_MESSAGE_ID_REQUIRED', {}],
    ['null instead of an object', 'ERR_MESSAGE_ID_REQUIRED', null],
    ['an array instead of an object', 'ERR_MESSAGE_ID_REQUIRED', ['one']],
    ['null as ids', 'ERR_MESSAGE_ID_REQUIRED', { messageIds: null }],
    ['an empty array', 'ERR_MESSAGE_ID_REQUIRED', { messageIds: [] }],
    ['the key "messageId"', 'ERR_MESSAGE_ID_REQUIRED', { messageId: 'one' }],
    ['a text', 'ERR_INVALID_MESSAGE_ID', { messageIds: 'one' }],
    ['an empty text', 'ERR_INVALID_MESSAGE_ID', { messageIds: '' }],
    ['a number', 'ERR_INVALID_MESSAGE_ID', { messageIds: 0 }],
    ['false', 'ERR_INVALID_MESSAGE_ID', { messageIds: false }],
    ['an object', 'ERR_INVALID_MESSAGE_ID', { messageIds: { 0: 'one', length: 1 } }],
    ['a number among texts', 'ERR_INVALID_MESSAGE_ID', { messageIds: ['one', 2] }],
    ['null among texts', 'ERR_INVALID_MESSAGE_ID', { messageIds: ['one', null] }],
    ['an array within the array', 'ERR_INVALID_MESSAGE_ID', { messageIds: [['one']] }],
    [
      '1001 ids',
      'ERR_INVALID_MESSAGE_ID',
      { messageIds: Array.from({ length: 1001 }, () => 'one') },
    ],
    ['an unknown id', 'ERR_INVALID_ACKNOWLEDGMENT', { messageIds: ['four'] }],
    ['an empty id', 'ERR_INVALID_ACKNOWLEDGMENT', { messageIds: [''] }],
    ['the name of the box', 'ERR_INVALID_ACKNOWLEDGMENT', { messageIds: ['inbox'] }],
    [
      'an id in other spellings',
      'ERR_INVALID_ACKNOWLEDGMENT',
      { messageIds: ['One', 'ONE', 'one ', ' one', 'óne', 'one\u0000', 'on', 'on%', 'on_', '*'] },
    ],
    [
      'an id over the maximum length',
      'ERR_INVALID_ACKNOWLEDGMENT',
      { messageIds: ['x'.repeat(100_000)] },
    ],
    ['an id with a lone surrogate', 'ERR_INVALID_ACKNOWLEDGMENT', { messageIds: ['\ud800'] }],
  ])('rejects %s and removes nothing', async (_name, code, request) => {
    expectRefusal(await acknowledge(alice, request), 400, code)
    expect(await left(server, alice.identityKey)).toEqual(['one', 'two', 'three'])
  })

  test('removes messages permanently, from any box', async () => {
    await fill(server, alice.identityKey, ['four'], 'other')

    const answer = await acknowledge(alice, { messageIds: ['four', 'two'] })

    expect(answer).toMatchObject({ status: 200, verified: true })
    expect(answer.body).toEqual({ status: 'success' })
    expect([
      await left(server, alice.identityKey),
      await left(server, alice.identityKey, 'other'),
    ]).toEqual([['one', 'three'], []])
    expectRefusal(
      await acknowledge(alice, { messageIds: ['two'] }),
      400,
      'ERR_INVALID_ACKNOWLEDGMENT',
    )
  })

  test('succeeds if at least one id belongs to the caller', async () => {
    const messageIds = ['one', 'one', '', 'unknown', '\ud800', 'x'.repeat(256)]
    expect(await acknowledge(alice, { messageIds })).toMatchObject({ status: 200 })
    expect(await left(server, alice.identityKey)).toEqual(['two', 'three'])
  })

  test("does not remove other clients' messages, including those the caller sent", async () => {
    const bob = await handshake(server.origin)
    await post(bob, '/sendMessage', {
      message: {
        recipient: alice.identityKey,
        messageBox: 'inbox',
        messageId: 'from Bob',
        body: 'hello',
      },
    })

    expectRefusal(
      await acknowledge(bob, { messageIds: ['one', 'from Bob'], recipient: alice.identityKey }),
      400,
      'ERR_INVALID_ACKNOWLEDGMENT',
    )
    await fill(server, bob.identityKey, ['one'])
    expect(await acknowledge(bob, { messageIds: ['one', 'two', 'from Bob'] })).toMatchObject({
      status: 200,
    })

    expect(await left(server, alice.identityKey)).toEqual(['one', 'two', 'three', 'from Bob'])
    expect(await left(server, bob.identityKey)).toEqual([])
  })

  test('accepts 1000 ids in one request', async () => {
    const messageIds = Array.from({ length: 1000 }, (_value, index) => `id ${index}`)
    const row = {
      recipient: alice.identityKey,
      messageBox: 'inbox',
      sender: alice.identityKey,
      body: 'x',
    }
    await server.server.context.store.insert(messageIds.map((messageId) => ({ ...row, messageId })))

    expect(await acknowledge(alice, { messageIds })).toMatchObject({ status: 200 })
    expect(await left(server, alice.identityKey)).toEqual(['one', 'two', 'three'])
  })

  test('of two identical concurrent acknowledgements, one succeeds', async () => {
    const answers = await Promise.all(
      [1, 2].map(async () => await acknowledge(alice, { messageIds: ['one', 'two'] })),
    )
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 400])
    expect(await left(server, alice.identityKey)).toEqual(['three'])
  })
})
