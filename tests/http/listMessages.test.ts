import { beforeAll, describe, expect, test } from '@jest/globals'
import { callerOf } from '../../tools/clients/caller'
import { ENGINES } from '../../tools/databases/databases'
import { expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, type Answer, type HandSession } from '../../tools/clients/signedRequests'

interface Page {
  messages: Array<Record<string, string>>
  limit: number
  offset: number
  hasMore: boolean
  nextOffset: number | null
  nextCursor: string | null
}

const list = async (session: HandSession, request: unknown): Promise<Answer> =>
  await post(session, '/listMessages', request)
const page = async (session: HandSession, request: object): Promise<Page> => {
  const { status, verified, body } = await list(session, { messageBox: 'inbox', ...request })
  expect({ status, verified, success: body.status }).toEqual({
    status: 200,
    verified: true,
    success: 'success',
  })
  return body as unknown as Page
}

/** Stores messages in a recipient's box, in order, without HTTP. */
async function fill(
  { server }: TestServer,
  recipient: string,
  bodies: string[],
  messageBox = 'inbox',
): Promise<void> {
  for (const [index, body] of bodies.entries()) {
    const message = {
      recipients: [recipient],
      messageIds: [`${messageBox} ${index}`],
      messageBox,
      body,
      isText: true,
    }
    await server.context.mailbox.send(callerOf(recipient), message)
  }
}

describe('POST /listMessages rejects', () => {
  let alice: HandSession

  beforeAll(async () => {
    alice = await handshake((await startServer()).origin)
  })

  test.each<[string, string, unknown]>([
    ['a number as a cursor', 'ERR_INVALID_CURSOR', { messageBox: 'inbox', after: 1 }],
    ['a short cursor', 'ERR_INVALID_CURSOR', { messageBox: 'inbox', after: 'abc' }],
    ['an invented cursor', 'ERR_INVALID_CURSOR', { messageBox: 'inbox', after: 'A'.repeat(22) }],
    ['nothing', 'ERR_MESSAGEBOX_REQUIRED', {}],
    ['null', 'ERR_MESSAGEBOX_REQUIRED', null],
    ['an array', 'ERR_MESSAGEBOX_REQUIRED', ['inbox']],
    ['a text', 'ERR_MESSAGEBOX_REQUIRED', '"inbox"'],
    ['null as a box', 'ERR_MESSAGEBOX_REQUIRED', { messageBox: null }],
    ['an empty box', 'ERR_MESSAGEBOX_REQUIRED', { messageBox: '' }],
    [
      'an empty box, before bad bounds',
      'ERR_MESSAGEBOX_REQUIRED',
      { messageBox: '', limit: 0, offset: -1 },
    ],
    ['a blank box', 'ERR_INVALID_MESSAGEBOX', { messageBox: ' \n' }],
    ['a number as a box', 'ERR_INVALID_MESSAGEBOX', { messageBox: 0 }],
    ['false as a box', 'ERR_INVALID_MESSAGEBOX', { messageBox: false }],
    ['an array as a box', 'ERR_INVALID_MESSAGEBOX', { messageBox: ['inbox'] }],
    ['an object as a box', 'ERR_INVALID_MESSAGEBOX', { messageBox: {} }],
    ['a box of 256 characters', 'ERR_INVALID_MESSAGEBOX', { messageBox: 'x'.repeat(256) }],
    [
      'a bad box, before bad bounds',
      'ERR_INVALID_MESSAGEBOX',
      { messageBox: ' ', limit: 0, offset: -1 },
    ],
    ...[0, -1, 1001, 1.5, '10', null, true, [], {}, 1e300].map(
      (limit) =>
        [
          `the limit ${JSON.stringify(limit)}`,
          'ERR_INVALID_LIMIT',
          { messageBox: 'inbox', limit, offset: -1 },
        ] as [string, string, unknown],
    ),
    ...[-1, 0.5, '0', null, false, [], {}, 2 ** 53]
      .flatMap((offset) =>
        ['offset', 'skip'].map(
          (name) =>
            [
              `the ${name} ${JSON.stringify(offset)}`,
              'ERR_INVALID_OFFSET',
              { messageBox: 'inbox', [name]: offset },
            ] as [string, string, unknown],
        ),
      )
      .filter(([name]) => name !== 'the skip null'),
    ...[null, '', ' ', 7, [], {}, ['one'], 'x'.repeat(256)].map(
      (messageId) =>
        [
          `the message id ${JSON.stringify(messageId).slice(0, 20)}`,
          'ERR_INVALID_MESSAGE_ID',
          { messageBox: 'inbox', messageId },
        ] as [string, string, unknown],
    ),
  ])('%s', async (_name, code, request) => {
    expectRefusal(await list(alice, request), 400, code)
  })
})

/** In bytes. A listed message takes about 325 besides its body, and the frame of a page 256. */
const MAX_PAGE = 2500

describe.each(ENGINES)('POST /listMessages on %s', (engine) => {
  let server: TestServer

  beforeAll(async () => {
    server = await startServer({ engine, env: { MAX_PAGE_BYTES: String(MAX_PAGE) } })
  })

  test('lists an unknown box as empty', async () => {
    const alice = await handshake(server.origin)
    const { body } = await list(alice, { messageBox: 'nowhere' })
    expect(body).toEqual({
      status: 'success',
      messages: [],
      limit: 1000,
      offset: 0,
      hasMore: false,
      nextOffset: null,
      nextCursor: null,
    })
  })

  test('a message has its sender, its body and its times, under both spellings', async () => {
    const [bob, before] = [await handshake(server.origin), Date.now()]
    const alice = await handshake(server.origin)
    await post(alice, '/sendMessage', {
      message: {
        recipient: bob.identityKey,
        messageBox: 'inbox',
        messageId: 'one',
        body: { a: 1 },
      },
    })

    const { messages } = await page(bob, {})

    const time = messages[0]!.createdAt!
    expect(messages).toEqual([
      {
        messageId: 'one',
        body: '{"a":1}',
        sender: alice.identityKey,
        created_at: time,
        updated_at: time,
        createdAt: time,
        updatedAt: time,
      },
    ])
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(Date.parse(time)).toBeGreaterThanOrEqual(before)
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now())
  })

  test('lists only the boxes of the caller, and removes nothing', async () => {
    const bob = await handshake(server.origin)
    const alice = await handshake(server.origin)
    await fill(server, alice.identityKey, ['hers'])
    await fill(server, bob.identityKey, ['his'])

    for (let round = 0; round < 2; round++) {
      expect((await page(alice, { recipient: bob.identityKey })).messages).toMatchObject([
        { body: 'hers' },
      ])
      expect((await page(bob, {})).messages).toMatchObject([{ body: 'his' }])
    }
  })

  test('lists one message by its id, from this box only', async () => {
    const alice = await handshake(server.origin)
    await fill(server, alice.identityKey, ['a', 'b', 'c'])
    await fill(server, alice.identityKey, ['elsewhere'], 'other')
    expect(await page(alice, { messageId: 'inbox 1' })).toMatchObject({
      messages: [{ messageId: 'inbox 1', body: 'b' }],
      hasMore: false,
      nextOffset: null,
    })
    expect(await page(alice, { messageId: 'inbox 1', offset: 1 })).toMatchObject({
      messages: [],
      hasMore: false,
    })
    for (const messageId of ['inbox', 'INBOX 1', 'other 0', 'inbox 1 '])
      expect(await page(alice, { messageId })).toMatchObject({
        messages: [],
        hasMore: false,
        nextOffset: null,
      })
    expect(await page(await handshake(server.origin), { messageId: 'inbox 1' })).toMatchObject({
      messages: [],
    })
  })

  test('pages are in order of arrival and hold at most "limit" messages', async () => {
    const alice = await handshake(server.origin)
    await fill(server, alice.identityKey, ['0', '1', '2', '3', '4'])
    await fill(server, alice.identityKey, ['elsewhere'], 'other')
    const bodies = ({ messages }: Page): string => messages.map((message) => message.body).join('')

    const [first, second, third] = [
      await page(alice, { limit: 2 }),
      await page(alice, { limit: 2, offset: 2 }),
      await page(alice, { limit: 2, skip: 4 }),
    ]

    expect([first, second, third].map(bodies)).toEqual(['01', '23', '4'])
    const nextCursor = expect.stringMatching(/^[\w-]{22}$/)
    expect([first, second, third].map(({ messages: _messages, ...rest }) => rest)).toEqual([
      { status: 'success', limit: 2, offset: 0, hasMore: true, nextOffset: 2, nextCursor },
      { status: 'success', limit: 2, offset: 2, hasMore: true, nextOffset: 4, nextCursor },
      {
        status: 'success',
        limit: 2,
        offset: 4,
        hasMore: false,
        nextOffset: null,
        nextCursor: null,
      },
    ])
    expect(await page(alice, { limit: 5 })).toMatchObject({ hasMore: false, nextOffset: null })
    expect(await page(alice, { limit: 1000, offset: 3, skip: 1 })).toMatchObject({
      offset: 3,
      messages: [{ body: '3' }, { body: '4' }],
    })
    expect(await page(alice, { offset: 5 })).toMatchObject({
      messages: [],
      hasMore: false,
      nextOffset: null,
    })
    expect(await page(alice, { offset: Number.MAX_SAFE_INTEGER })).toMatchObject({
      messages: [],
      hasMore: false,
      nextOffset: null,
    })
  })

  test('a cursor continues after its page, also if messages before it are gone', async () => {
    const alice = await handshake(server.origin)
    await fill(server, alice.identityKey, ['0', '1', '2', '3', '4', '5', '6'])
    const bodies: string[] = []

    for (let after: string | null | undefined; after !== null;) {
      const { messages, nextCursor }: Page = await page(alice, { limit: 2, after })
      bodies.push(...messages.map(({ body }) => body!))
      const messageIds = messages.map(({ messageId }) => messageId)
      expect((await post(alice, '/acknowledgeMessage', { messageIds })).status).toBe(200)
      after = nextCursor
    }

    expect(bodies).toEqual(['0', '1', '2', '3', '4', '5', '6'])
  })

  test('"offset" counts from the cursor', async () => {
    const alice = await handshake(server.origin)
    await fill(server, alice.identityKey, ['0', '1', '2', '3', '4'])
    const { nextCursor: after } = await page(alice, { limit: 1 })

    expect(await page(alice, { after, offset: 2, limit: 1 })).toMatchObject({
      messages: [{ body: '3' }],
      nextOffset: 3,
    })
  })

  test('a cursor works in a restarted server, and for its owner only', async () => {
    const [alice, bob] = [await handshake(server.origin), await handshake(server.origin)]
    await fill(server, alice.identityKey, ['0', '1'])
    await fill(server, bob.identityKey, ['of Bob'])
    const { nextCursor: after } = await page(alice, { limit: 1 })

    await server.restart()

    expect(await page(alice, { after })).toMatchObject({ messages: [{ body: '1' }] })
    expectRefusal(await list(bob, { messageBox: 'inbox', after }), 400, 'ERR_INVALID_CURSOR')
  })

  test('pages hold at most MAX_PAGE_BYTES, but at least one message', async () => {
    const alice = await handshake(server.origin)
    const sizes = [500, 524, 1, 3000, 1024, 400]
    await fill(
      server,
      alice.identityKey,
      sizes.map((size) => 'x'.repeat(size)),
    )

    const pages: Page[] = []
    for (let offset: number | null = 0; offset !== null; offset = pages.at(-1)!.nextOffset)
      pages.push(await page(alice, { offset }))

    expect(pages.map(({ messages }) => messages.map((message) => message.body!.length))).toEqual([
      [500, 524, 1],
      [3000],
      [1024, 400],
    ])
    expect(pages.map(({ hasMore }) => hasMore)).toEqual([true, true, false])
  })

  test.each([
    ['characters of four bytes', '📦'.repeat(180)],
    ['quotes, escaped as two bytes each', '"'.repeat(360)],
    ['control characters, escaped as six bytes each', '\u0001'.repeat(120)],
  ])('pages are measured in bytes as sent: %s', async (_name, body) => {
    const alice = await handshake(server.origin)
    await fill(server, alice.identityKey, [body, body, body])

    const first = await page(alice, {})
    expect(first).toMatchObject({ messages: { length: 2 }, hasMore: true, nextOffset: 2 })
    expect(Buffer.byteLength(JSON.stringify(first))).toBeLessThanOrEqual(MAX_PAGE)
    expect(await page(alice, { offset: 2 })).toMatchObject({
      messages: { length: 1 },
      hasMore: false,
      nextOffset: null,
    })
  })

  test('the name of a box is trimmed, then matched exactly', async () => {
    const alice = await handshake(server.origin)
    await fill(server, alice.identityKey, ['hello'], 'Böx')

    expect((await page(alice, { messageBox: ' Böx\t' })).messages).toHaveLength(1)
    for (const messageBox of ['böx', 'Box', 'Bo\u0308x', 'Böx\u0000', 'Bö', 'B%'])
      expect((await page(alice, { messageBox })).messages).toEqual([])
  })
})
