import { beforeAll, describe, expect, test } from '@jest/globals'
import { PrivateKey } from '@bsv/sdk'
import { ApiError } from '../../src/contract/errors'
import { callerOf, messagesIn } from '../../tools/clients/caller'
import { ENGINES } from '../../tools/databases/databases'
import { expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, type Answer, type HandSession } from '../../tools/clients/signedRequests'

type Message = Record<string, unknown>

const KEYS = Array.from({ length: 101 }, () => PrivateKey.fromRandom().toPublicKey())
const [BOB, CAROL] = KEYS.map((key) => key.toString()) as [string, string]
const NAMES = KEYS.map((key) => key.toString())
const IDS = NAMES.map((_key, index) => `id ${index}`)

const send = async (session: HandSession, message: unknown): Promise<Answer> =>
  await post(session, '/sendMessage', { message })
const newKey = (): string => PrivateKey.fromRandom().toPublicKey().toString()
const valid = (): Message => ({
  recipient: BOB,
  messageBox: 'inbox',
  messageId: `id ${Math.random()}`,
  body: 'hello',
})

/** The id, sender and body of each message in a recipient's box. */
async function boxOf(
  server: TestServer,
  recipient: string,
  messageBox = 'inbox',
): Promise<object[]> {
  const messages = await messagesIn(server.server.context.mailbox, recipient, messageBox)
  return messages.map(({ messageId, sender, body }) => ({ messageId, sender, body }))
}

describe('POST /sendMessage rejects', () => {
  let server: TestServer
  let alice: HandSession

  beforeAll(async () => {
    server = await startServer()
    alice = await handshake(server.origin)
  })

  test.each([
    ['no message', {}],
    ['null', { message: null }],
    ['a text', { message: 'hello' }],
    ['a number', { message: 1 }],
    ['an array', { message: [] }],
    ['an array of messages', { message: [valid()] }],
    ['a message without its wrapper', valid()],
    ['another key', { Message: valid() }],
  ])('in place of a message: %s', async (_name, request) => {
    expectRefusal(await post(alice, '/sendMessage', request), 400, 'ERR_MESSAGE_REQUIRED')
  })

  test.each<[string, string, Message]>([
    ['no box', 'ERR_INVALID_MESSAGEBOX', { messageBox: undefined }],
    ['null as a box', 'ERR_INVALID_MESSAGEBOX', { messageBox: null }],
    ['a number as a box', 'ERR_INVALID_MESSAGEBOX', { messageBox: 5 }],
    ['an array as a box', 'ERR_INVALID_MESSAGEBOX', { messageBox: ['inbox'] }],
    ['an object as a box', 'ERR_INVALID_MESSAGEBOX', { messageBox: { name: 'inbox' } }],
    ['an empty box', 'ERR_INVALID_MESSAGEBOX', { messageBox: '' }],
    ['a blank box', 'ERR_INVALID_MESSAGEBOX', { messageBox: ' \t\n\u00a0' }],
    ['a box of 256 characters', 'ERR_INVALID_MESSAGEBOX', { messageBox: 'x'.repeat(256) }],
    [
      'a box of 256 characters outside the BMP',
      'ERR_INVALID_MESSAGEBOX',
      { messageBox: '📦'.repeat(256) },
    ],
    ['no body', 'ERR_INVALID_MESSAGE_BODY', { body: undefined }],
    ['null as a body', 'ERR_INVALID_MESSAGE_BODY', { body: null }],
    ['a number as a body', 'ERR_INVALID_MESSAGE_BODY', { body: 5 }],
    ['true as a body', 'ERR_INVALID_MESSAGE_BODY', { body: true }],
    ['an array as a body', 'ERR_INVALID_MESSAGE_BODY', { body: [] }],
    ['an empty body', 'ERR_INVALID_MESSAGE_BODY', { body: '' }],
    ['a blank body', 'ERR_INVALID_MESSAGE_BODY', { body: ' \r\n\u2003' }],
    ['no recipient', 'ERR_RECIPIENT_REQUIRED', { recipient: undefined }],
    ['null as a recipient', 'ERR_RECIPIENT_REQUIRED', { recipient: null }],
    ['an empty recipient', 'ERR_RECIPIENT_REQUIRED', { recipient: '' }],
    ['an empty array of recipients', 'ERR_RECIPIENT_REQUIRED', { recipient: [] }],
    [
      'an empty "recipients", which wins over "recipient"',
      'ERR_RECIPIENT_REQUIRED',
      { recipients: [] },
    ],
    ['no id', 'ERR_MESSAGEID_REQUIRED', { messageId: undefined }],
    ['null as an id', 'ERR_MESSAGEID_REQUIRED', { messageId: null }],
    ['an empty array of ids', 'ERR_MESSAGEID_REQUIRED', { messageId: [] }],
    ['two ids for one recipient', 'ERR_MESSAGEID_COUNT_MISMATCH', { messageId: ['a', 'b'] }],
    ['one id for two recipients', 'ERR_MESSAGEID_COUNT_MISMATCH', { recipients: [BOB, CAROL] }],
    ['an empty id', 'ERR_INVALID_MESSAGEID', { messageId: '' }],
    ['a blank id', 'ERR_INVALID_MESSAGEID', { messageId: [' '] }],
    ['a number as an id', 'ERR_INVALID_MESSAGEID', { messageId: 5 }],
    ['false as an id', 'ERR_INVALID_MESSAGEID', { messageId: false }],
    ['an object as an id', 'ERR_INVALID_MESSAGEID', { messageId: {} }],
    ['an id of 256 characters', 'ERR_INVALID_MESSAGEID', { messageId: 'x'.repeat(256) }],
    [
      'one bad id among good ones',
      'ERR_INVALID_MESSAGEID',
      { recipients: [BOB, CAROL], messageId: ['good', null] },
    ],
    ['a word as a recipient', 'ERR_INVALID_RECIPIENT_KEY', { recipient: 'bob' }],
    ['a number as a recipient', 'ERR_INVALID_RECIPIENT_KEY', { recipient: 5 }],
    ['an object as a recipient', 'ERR_INVALID_RECIPIENT_KEY', { recipient: { key: BOB } }],
    ['a recipient in a nested array', 'ERR_INVALID_RECIPIENT_KEY', { recipient: [[BOB]] }],
    ['a key that is too short', 'ERR_INVALID_RECIPIENT_KEY', { recipient: BOB.slice(2) }],
    ['a key that is too long', 'ERR_INVALID_RECIPIENT_KEY', { recipient: `${BOB}00` }],
    ['a key followed by a space', 'ERR_INVALID_RECIPIENT_KEY', { recipient: `${BOB} ` }],
    ['a key followed by a newline', 'ERR_INVALID_RECIPIENT_KEY', { recipient: `${BOB}\n` }],
    ['a key off the curve', 'ERR_INVALID_RECIPIENT_KEY', { recipient: `02${'0'.repeat(63)}5` }],
    ['a key beyond the field', 'ERR_INVALID_RECIPIENT_KEY', { recipient: `02${'f'.repeat(64)}` }],
    [
      'an uncompressed key off the curve',
      'ERR_INVALID_RECIPIENT_KEY',
      { recipient: `04${'1'.repeat(128)}` },
    ],
    [
      'a hybrid key',
      'ERR_INVALID_RECIPIENT_KEY',
      { recipient: `06${(KEYS[0]!.encode(false, 'hex') as string).slice(2)}` },
    ],
    [
      'one bad key among good ones',
      'ERR_INVALID_RECIPIENT_KEY',
      { recipients: [BOB, 'x'], messageId: ['a', 'b'] },
    ],
    ['101 recipients', 'ERR_TOO_MANY_RECIPIENTS', { recipients: NAMES, messageId: IDS }],
    [
      'a recipient twice',
      'ERR_DUPLICATE_RECIPIENT',
      { recipients: [BOB, CAROL, BOB], messageId: ['a', 'b', 'c'] },
    ],
    [
      'a recipient twice, spelt differently',
      'ERR_DUPLICATE_RECIPIENT',
      { recipients: [BOB, BOB.toUpperCase()], messageId: ['a', 'b'] },
    ],
  ])('%s', async (_name, code, bent) => {
    expectRefusal(await send(alice, { ...valid(), ...bent }), 400, code)
  })

  test("several faults in the contract's order: fixing one reveals the next", async () => {
    await send(alice, {
      recipient: BOB,
      messageBox: 'inbox',
      messageId: 'taken',
      body: 'the first',
    })
    const message: Message = { messageBox: 5, body: 5 }
    const steps: Array<[code: string, mended: Message]> = [
      ['ERR_INVALID_MESSAGEBOX', {}],
      ['ERR_INVALID_MESSAGE_BODY', { messageBox: 'elsewhere' }],
      ['ERR_RECIPIENT_REQUIRED', { body: 'the second' }],
      ['ERR_MESSAGEID_REQUIRED', { recipients: ['x', ...NAMES.slice(1), BOB, BOB] }],
      ['ERR_MESSAGEID_COUNT_MISMATCH', { messageId: [' ', ' '] }],
      ['ERR_INVALID_MESSAGEID', { messageId: [' ', ...IDS, 'taken'] }],
      ['ERR_INVALID_RECIPIENT_KEY', { messageId: ['0', ...IDS, 'taken'] }],
      ['ERR_TOO_MANY_RECIPIENTS', { recipients: [...NAMES.slice(1), BOB, BOB, CAROL] }],
      ['ERR_DUPLICATE_RECIPIENT', { recipients: [BOB, BOB], messageId: ['taken', 'taken'] }],
      ['ERR_DUPLICATE_MESSAGE', { recipients: [CAROL, BOB], messageId: ['taken', 'taken'] }],
    ]
    for (const [code, mended] of steps)
      expectRefusal(await send(alice, Object.assign(message, mended)), 400, code)

    expect(
      await send(alice, Object.assign(message, { messageId: ['taken', 'free'] })),
    ).toMatchObject({ status: 200, verified: true })
  })

  test('a send that the policy rejects, after every other check and before storing', async () => {
    const blockedRecipients = [BOB]
    const priceOf = async (): Promise<never> => {
      throw new ApiError('ERR_DELIVERY_BLOCKED', undefined, { blockedRecipients })
    }
    const guarded = await startServer({ overrides: { priceOf } })
    const carol = await handshake(guarded.origin)

    expectRefusal(
      await send(carol, { ...valid(), recipient: 'x' }),
      400,
      'ERR_INVALID_RECIPIENT_KEY',
    )
    expectRefusal(await send(carol, valid()), 403, 'ERR_DELIVERY_BLOCKED', { blockedRecipients })
    expect(await boxOf(guarded, BOB)).toEqual([])
  })

  test('and stores none of the rejected messages', async () => {
    const rows = await server.server.context.knex('messages').select('message_id')
    expect(rows.map((row) => row.message_id).sort()).toEqual(['free', 'taken', 'taken'])
  })
})

describe.each(ENGINES)('POST /sendMessage on %s', (engine) => {
  let server: TestServer
  let alice: HandSession

  beforeAll(async () => {
    server = await startServer({ engine })
    alice = await handshake(server.origin)
  })

  test('for one recipient, answers with the message id at the top level', async () => {
    const bob = newKey()
    const { status, body, verified } = await send(alice, {
      recipient: bob,
      messageBox: 'inbox',
      messageId: 'one',
      body: 'hello',
    })

    expect({ status, verified }).toEqual({ status: 200, verified: true })
    expect(body).toEqual({
      status: 'success',
      messageId: 'one',
      message: `Your message has been sent to ${bob}`,
      results: [{ recipient: bob, messageId: 'one' }],
    })
    expect(await boxOf(server, bob)).toEqual([
      { messageId: 'one', sender: alice.identityKey, body: 'hello' },
    ])
  })

  test('for several recipients, answers with a result each, in their order', async () => {
    const recipients = [newKey(), newKey()]
    const { body } = await send(alice, {
      recipients,
      recipient: 'ignored',
      messageBox: 'inbox',
      messageId: ['b', 'a'],
      body: 'hello',
    })

    expect(body).toEqual({
      status: 'success',
      message: expect.stringContaining('2 recipients'),
      results: [
        { recipient: recipients[0], messageId: 'b' },
        { recipient: recipients[1], messageId: 'a' },
      ],
    })
    for (const [index, recipient] of recipients.entries())
      expect(await boxOf(server, recipient)).toMatchObject([{ messageId: 'ba'[index] }])
  })

  test('accepts 100 recipients as "recipient", a shared id and unknown keys', async () => {
    const { status, body } = await send(alice, {
      recipient: NAMES.slice(0, 100),
      messageBox: `${engine} many`,
      messageId: NAMES.slice(0, 100).map(() => 'same'),
      body: 'hello',
      colour: 'red',
    })

    expect([status, (body.results as object[]).length]).toEqual([200, 100])
    expect(await boxOf(server, NAMES[99]!, `${engine} many`)).toHaveLength(1)
  })

  test.each([
    ['upper case', (key: string) => key.toUpperCase()],
    [
      'the uncompressed form',
      (key: string) =>
        KEYS.find((other) => other.toString() === key)!.encode(false, 'hex') as string,
    ],
    [
      'the uncompressed form in upper case',
      (key: string) =>
        (
          KEYS.find((other) => other.toString() === key)!.encode(false, 'hex') as string
        ).toUpperCase(),
    ],
  ])('converts a key in %s to its canonical form', async (name, spell) => {
    const { body } = await send(alice, { ...valid(), recipient: spell(CAROL), messageBox: name })

    expect(body.results).toMatchObject([{ recipient: CAROL }])
    expect(await boxOf(server, CAROL, name)).toHaveLength(1)
  })

  test.each([
    ['255 characters', 'x'.repeat(255)],
    ['255 characters of four bytes', '📦'.repeat(255)],
    ['spaces around and within it', ' in box '],
    ['NUL', '\u0000'],
    ['a right-to-left mark', 'a\u200fb'],
  ])('accepts a box and an id of %s', async (_name, name) => {
    const bob = newKey()
    expect(
      await send(alice, { recipient: bob, messageBox: name, messageId: name, body: name }),
    ).toMatchObject({ status: 200, body: { messageId: name } })
    expect(await boxOf(server, bob, name.trim())).toEqual([
      { messageId: name, sender: alice.identityKey, body: name },
    ])
  })

  test.each([
    ['an object', { a: [1, { b: null }], ä: '📦' }, '{"a":[1,{"b":null}],"ä":"📦"}'],
    ['an empty object', {}, '{}'],
    ['a text with white space around it', '  hello\n', '  hello\n'],
    [
      'an object with "message"',
      { message: 'inner', payment: 1 },
      '{"message":{"message":"inner","payment":1}}',
    ],
    [
      'a text that is the JSON of such an object',
      ' {"message":1}',
      '{"message":" {\\"message\\":1}"}',
    ],
    [
      'a text that is such JSON with an escaped key',
      '{"\\u006dessage":1}',
      '{"message":"{\\"\\\\u006dessage\\":1}"}',
    ],
    [
      'a text that mentions "message" within a value',
      '{"text":"\\"message\\""}',
      '{"text":"\\"message\\""}',
    ],
  ])('stores a body: %s', async (_name, body, listed) => {
    const bob = newKey()
    await send(alice, { recipient: bob, messageBox: 'inbox', messageId: 'one', body })
    expect(await boxOf(server, bob)).toMatchObject([{ body: listed }])
  })

  test('sending a message again succeeds and stores nothing, even with another body', async () => {
    const bob = newKey()
    const message = { recipient: bob, messageBox: 'inbox', messageId: 'one', body: 'first' }
    await send(alice, message)

    const again = await send(alice, {
      ...message,
      recipient: bob.toUpperCase(),
      messageBox: ' inbox ',
      body: { encrypted: 'anew' },
    })

    expect(again.status).toBe(200)
    expect(again.body).toEqual({
      status: 'success',
      messageId: 'one',
      message: expect.any(String),
      results: [{ recipient: bob, messageId: 'one', duplicate: true }],
    })
    expect(await boxOf(server, bob)).toMatchObject([{ body: 'first' }])
  })

  test('a used id for one recipient rejects the send for all recipients', async () => {
    const other = await handshake(server.origin)
    const [bob, carol] = [newKey(), newKey()]
    await send(alice, { recipient: bob, messageBox: 'inbox', messageId: 'one', body: 'first' })
    const both = { recipients: [carol, bob], messageId: ['two', 'one'], body: 'second' }

    expectRefusal(await send(other, { ...both, messageBox: 'inbox' }), 400, 'ERR_DUPLICATE_MESSAGE')
    expectRefusal(await send(alice, { ...both, messageBox: 'Inbox' }), 400, 'ERR_DUPLICATE_MESSAGE')

    expect(await boxOf(server, bob)).toMatchObject([{ body: 'first' }])
    expect([await boxOf(server, carol), await boxOf(server, carol, 'Inbox')]).toEqual([[], []])
  })

  test('if some recipients already have the message, the others get it', async () => {
    const [first, second] = [newKey(), newKey()]
    const message = { messageBox: 'inbox', body: 'hello' }
    await send(alice, { ...message, recipient: first, messageId: 'one' })

    const { body } = await send(alice, {
      ...message,
      recipients: [first, second],
      messageId: ['one', 'one'],
    })

    expect(body.results).toEqual([
      { recipient: first, messageId: 'one', duplicate: true },
      { recipient: second, messageId: 'one' },
    ])
    expect(
      [await boxOf(server, first), await boxOf(server, second)].map((box) => box.length),
    ).toEqual([1, 1])
  })

  test('an id can be reused after acknowledgement, and for another recipient', async () => {
    const bob = newKey()
    const message = { messageBox: 'inbox', messageId: 'one', body: 'hello' }
    await send(alice, { ...message, recipient: bob })
    await server.server.context.mailbox.acknowledge(callerOf(bob), ['one'])

    const { body } = await send(alice, { ...message, recipient: bob, messageBox: 'other' })

    expect(body.results).toEqual([{ recipient: bob, messageId: 'one' }])
    const carol = newKey()
    expect((await send(alice, { ...message, recipient: carol })).body.results).toEqual([
      { recipient: carol, messageId: 'one' },
    ])
  })
})
