import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import pino from 'pino'
import { parseConfig } from '../../src/config'
import { isDataError, isTooLarge } from '../../src/db/engine/faults'
import { GroupCommit, type Stored } from '../../src/db/messages'
import { createKnex } from '../../src/db/engine/knex'
import { text } from '../../src/db/engine/dialect'
import { selectPage, type StoredMessage } from '../../src/db/messages/sql'
import { migrate } from '../../src/db/engine/migrate'
import { createQuotaCounter } from '../../src/db/quotas'
import { createRemoval } from '../../src/db/messages/remove'
import { MessageBoxServer } from '../../src/server'
import { createDatabase, ENGINES, type TestDatabase } from '../../tools/databases/databases'
import { handshake, post } from '../../tools/clients/signedRequests'

const NO_QUOTAS = {
  inbox: { messages: undefined, bytes: undefined },
  sender: { messages: undefined, bytes: undefined },
}
const newKey = (): string => `02${randomBytes(32).toString('hex')}`
const [ALICE, CAROL] = [newKey(), newKey()]

const messageOf = (
  recipient: string,
  messageId: string,
  more: Partial<StoredMessage> = {},
): StoredMessage => {
  return {
    recipient,
    messageBox: 'inbox',
    messageId,
    sender: ALICE,
    body: `body of ${messageId}`,
    ...more,
  }
}
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_value, index) => make(index))

/** The result of a send: `stored` or `duplicate` for each message, or the error code. */
const outcome = async (send: Promise<Stored[]>): Promise<string> => {
  return await send.then(
    (stored) => stored.map(({ duplicate }) => (duplicate ? 'duplicate' : 'stored')).join(),
    (error) => String(error.code),
  )
}

async function boxOf(knex: Knex, recipient: string, messageBox = 'inbox'): Promise<string[]> {
  const { rows } = await selectPage(knex, recipient, { messageBox, limit: 2000, offset: 0 }, 1e9)
  return rows.map((row) => text(row.message_id))
}

describe.each(ENGINES)('group commit on %s', (engine) => {
  let database: TestDatabase
  let knex: Knex
  let commits: GroupCommit

  beforeAll(async () => {
    database = await createDatabase(engine)
    knex = createKnex(database.config)
    await migrate(knex, database.config)
    commits = new GroupCommit(knex, createQuotaCounter(NO_QUOTAS))
  })

  afterAll(async () => {
    await knex.destroy()
    await database.drop()
  })

  /** Counts the insert statements that run during `work`. */
  async function countInserts(work: () => Promise<unknown>): Promise<number> {
    let count = 0
    const listen = ({ sql }: { sql: string }): void => {
      if (sql.startsWith('insert')) count++
    }
    knex.on('query', listen)
    await work()
    knex.off('query', listen)
    return count
  }

  test('sends that arrive together share one commit and keep their order', async () => {
    const bob = newKey()
    const inserts = await countInserts(
      async () =>
        await Promise.all(
          times(200, async (i) => {
            // Slightly apart, as requests that come over the network together.
            for (let hop = 0; hop < i; hop++) await undefined
            return await commits.insert([messageOf(bob, `id ${i}`)])
          }),
        ),
    )

    expect(inserts).toBe(1)
    expect(await boxOf(knex, bob)).toEqual(times(200, (i) => `id ${i}`))
  })

  test('sends that arrive during a commit share the next commit', async () => {
    const bob = newKey()
    let others: Array<Promise<Stored[]>> = []
    const inserts = await countInserts(async () => {
      knex.once('query', () => {
        others = times(50, async (i) => await commits.insert([messageOf(bob, `id ${i}`)]))
      })
      await commits.insert([messageOf(bob, 'first')])
      await Promise.all(others)
    })

    expect(inserts).toBe(2)
    expect((await boxOf(knex, bob))[0]).toBe('first')
    expect(await boxOf(knex, bob)).toHaveLength(51)
  })

  test('a commit holds at most 500 rows and about 2 MiB', async () => {
    const bob = newKey()
    const insert = async (count: number, name: string, body: string): Promise<number> =>
      await countInserts(async () => {
        await Promise.all(
          times(
            count,
            async (i) => await commits.insert([messageOf(bob, `${name} ${i}`, { body })]),
          ),
        )
      })

    expect(await insert(1200, 'small', 'x')).toBe(3)
    expect(await insert(10, 'large', 'x'.repeat(500_000))).toBe(3)
    expect(await boxOf(knex, bob)).toHaveLength(1210)
  })

  test('a send that the database rejects fails alone', async () => {
    const bob = newKey()
    const sends = times(
      20,
      async (i) =>
        await outcome(
          commits.insert([messageOf(bob, `id ${i}`, i === 7 ? { sender: null as never } : {})]),
        ),
    )

    const outcomes = await Promise.all(sends)

    expect(outcomes.filter((text) => text === 'stored')).toHaveLength(19)
    expect(outcomes[7]).toMatch(/^(ER_BAD_NULL_ERROR|SQLITE_CONSTRAINT_NOTNULL)$/)
    expect(await boxOf(knex, bob)).toEqual(times(20, (i) => `id ${i}`).filter((_id, i) => i !== 7))
  })

  test('an error about a value over the maximum size counts as a data error', async () => {
    const bob = newKey()
    await commits.insert([messageOf(bob, 'one')])
    const large =
      engine === 'mysql'
        ? 'concat(repeat(body, @@max_allowed_packet / length(body)), body)'
        : 'zeroblob(2000000000)'

    const error: unknown = await knex
      .raw(`update messages set body = ${large} where recipient = ?`, [bob])
      .catch((error: unknown) => error)

    expect([isTooLarge(error), isDataError(error)]).toEqual([true, true])
  })

  test('a message sent again, at once or later, is a duplicate and keeps its time', async () => {
    const bob = newKey()
    const sends = [
      messageOf(bob, 'one'),
      messageOf(bob, 'one', { body: 'encrypted anew' }),
      messageOf(bob, 'two'),
    ]
    let answers: Stored[][] = []
    // One for the first send, one that fails on the duplicate, and one for the rest.
    expect(
      await countInserts(async () => {
        answers = await Promise.all(sends.map(async (send) => await commits.insert([send])))
      }),
    ).toBe(3)
    const [first, second, other] = answers as [Stored[], Stored[], Stored[]]
    const third = await commits.insert([messageOf(bob, 'one')])

    const { createdAt } = first[0]!
    expect([first, second, third]).toEqual([
      [{ createdAt, duplicate: false }],
      [{ createdAt, duplicate: true }],
      [{ createdAt, duplicate: true }],
    ])
    expect(other[0]!.duplicate).toBe(false)
    const { rows } = await selectPage(knex, bob, { messageBox: 'inbox', limit: 9, offset: 0 }, 1e9)
    expect(rows.map(({ body }) => text(body))).toEqual(['body of one', 'body of two'])
    expect(rows[0]!.created_at).toBe(createdAt)
  })

  test('only sends with a taken id are rejected, at once or later', async () => {
    const bob = newKey()
    const message = messageOf(bob, 'one')
    const sends = [
      message,
      { ...message, sender: CAROL },
      { ...message, messageBox: 'Inbox' },
      messageOf(bob, 'two'),
    ]

    const outcomes = [
      await Promise.all(sends.map(async (send) => await outcome(commits.insert([send])))),
      await Promise.all(sends.map(async (send) => await outcome(commits.insert([send])))),
    ]

    expect(outcomes).toEqual([
      ['stored', 'ERR_DUPLICATE_MESSAGE', 'ERR_DUPLICATE_MESSAGE', 'stored'],
      ['duplicate', 'ERR_DUPLICATE_MESSAGE', 'ERR_DUPLICATE_MESSAGE', 'duplicate'],
    ])
    expect([await boxOf(knex, bob), await boxOf(knex, bob, 'Inbox')]).toEqual([['one', 'two'], []])
  })

  test.each([
    ['small', 'x'],
    ['large', 'x'.repeat(1_000_000)],
  ])('a %s send is stored for all recipients or for none', async (_name, body) => {
    const [taken, ...others] = times(4, newKey) as [string, ...string[]]
    const all = [...others, taken]
    await commits.insert([messageOf(taken, 'one', { sender: CAROL })])

    const outcomes = await Promise.all([
      outcome(commits.insert(all.map((recipient) => messageOf(recipient, 'one', { body })))),
      outcome(commits.insert(all.map((recipient) => messageOf(recipient, 'two', { body })))),
      outcome(commits.insert([messageOf(taken, 'three')])),
    ])

    expect(outcomes).toEqual(['ERR_DUPLICATE_MESSAGE', 'stored,stored,stored,stored', 'stored'])
    for (const recipient of others) expect(await boxOf(knex, recipient)).toEqual(['two'])
    expect((await boxOf(knex, taken)).sort()).toEqual(['one', 'three', 'two'])
    expect(
      await outcome(
        commits.insert(
          [...all, newKey()].map((recipient) => messageOf(recipient, 'two', { body })),
        ),
      ),
    ).toBe('duplicate,duplicate,duplicate,duplicate,stored')
  })
})

describe.each(ENGINES)('two servers on one database, on %s', (engine) => {
  let database: TestDatabase
  let servers: MessageBoxServer[]

  beforeAll(async () => {
    database = await createDatabase(engine)
    const config = parseConfig({
      NODE_ENV: 'test',
      PORT: '0',
      SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'),
      ...database.env,
    })
    servers = await Promise.all(
      [1, 2].map(
        async () => await MessageBoxServer.create(config, { logger: pino({ level: 'silent' }) }),
      ),
    )
    await Promise.all(servers.map(async (server) => await server.start()))
  })

  afterAll(async () => {
    for (const server of servers) await server.stop()
    await database.drop()
  })

  /** Sends through both servers at once. */
  const both = async (send: (node: number) => StoredMessage[]): Promise<string[]> => {
    return await Promise.all(
      servers.map(async ({ context }, node) => await outcome(context.store.insert(send(node)))),
    )
  }

  test('a message sent through both is stored once, and one reports a duplicate', async () => {
    const bob = newKey()
    const outcomes = await Promise.all(
      times(300, async (i) => await both(() => [messageOf(bob, `id ${i}`)])),
    )

    for (const pair of outcomes) expect(pair.sort()).toEqual(['duplicate', 'stored'])
    expect((await boxOf(servers[0]!.context.knex, bob)).sort()).toEqual(
      times(300, (i) => `id ${i}`).sort(),
    )
  })

  test('if two messages have the same id, one is stored and the other is rejected', async () => {
    const bob = newKey()
    const outcomes = await Promise.all(
      times(
        300,
        async (i) =>
          await both((node) => [messageOf(bob, `id ${i}`, { sender: [ALICE, CAROL][node]! })]),
      ),
    )

    const rows = await servers[1]!.context
      .knex('messages')
      .where({ recipient: bob })
      .select('message_id', 'sender')
    const senders = new Map(rows.map((row) => [text(row.message_id), row.sender]))
    expect(rows).toHaveLength(300)
    for (const [i, pair] of outcomes.entries()) {
      expect([...pair].sort()).toEqual(['ERR_DUPLICATE_MESSAGE', 'stored'])
      expect(senders.get(`id ${i}`)).toBe([ALICE, CAROL][pair.indexOf('stored')])
    }
  })

  test('sends to many recipients, in opposite orders, are stored for all or none', async () => {
    const recipients = times(20, newKey)
    const outcomes = await Promise.all(
      times(
        30,
        async (i) =>
          await both((node) => {
            return (node === 0 ? recipients : recipients.toReversed()).map((recipient) =>
              messageOf(recipient, `id ${i}`, { sender: [ALICE, CAROL][node]! }),
            )
          }),
      ),
    )

    const all = recipients.map(() => 'stored').join()
    for (const [i, pair] of outcomes.entries()) {
      expect([...pair].sort()).toEqual(['ERR_DUPLICATE_MESSAGE', all])
      const rows = await servers[0]!.context
        .knex('messages')
        .whereIn('recipient', recipients)
        .select('message_id', 'sender')
      const senders = rows
        .filter((row) => text(row.message_id) === `id ${i}`)
        .map((row) => row.sender)
      expect(senders).toEqual(recipients.map(() => [ALICE, CAROL][pair.indexOf(all)]))
    }
  })

  test('a session is valid on both, and only "duplicate" differs in their answers', async () => {
    const origins = servers.map(({ port }) => `http://127.0.0.1:${port}`)
    const session = await handshake(origins[0]!)
    const message = { recipient: session.identityKey, messageBox: 'inbox', body: 'hello' }
    for (let i = 0; i < 10; i++) {
      const answers = await Promise.all(
        origins.map(
          async (origin) =>
            await post({ ...session, origin }, '/sendMessage', {
              message: { ...message, messageId: `id ${i}` },
            }),
        ),
      )

      expect(answers).toMatchObject([
        { status: 200, verified: true },
        { status: 200, verified: true },
      ])
      const results = answers.map(
        (answer) => (answer.body.results as Array<{ duplicate?: boolean }>)[0]!.duplicate,
      )
      expect(results.filter((duplicate) => duplicate === true)).toHaveLength(1)
    }
    const lists = await Promise.all(
      origins.map(
        async (origin) =>
          await post({ ...session, origin }, '/listMessages', { messageBox: 'inbox' }),
      ),
    )
    expect(lists[0]!.body).toEqual(lists[1]!.body)
    expect(lists[0]!.body.messages).toHaveLength(10)
  })
})

const ON = {
  inbox: { messages: 1000, bytes: undefined },
  sender: { messages: 1000, bytes: undefined },
}

;(ENGINES.includes('mysql') ? test : (): void => {})(
  'a large send delays only requests that name the same id',
  async () => {
    const database = await createDatabase('mysql')
    const knex = createKnex(database.config)
    await migrate(knex, database.config)
    const counter = createQuotaCounter(ON)
    const commits = new GroupCommit(knex, counter)
    const removal = createRemoval(knex, counter, (keys) => commits.isSlow(keys))
    await commits.insert([messageOf(CAROL, 'stored')])

    let largeIsDone = false
    const body = 'x'.repeat(9 * 1024 * 1024)
    const large = commits
      .insert(
        [ALICE, newKey(), newKey(), newKey()].map((recipient) =>
          messageOf(recipient, 'large', { body }),
        ),
      )
      .then(() => {
        largeIsDone = true
      })
    const same = [
      commits.insert([messageOf(ALICE, 'large')]),
      removal.remove([{ recipient: ALICE, messageId: 'large' }]),
    ]
    // After these two, in the shared queues.
    expect(await outcome(commits.insert([messageOf(CAROL, 'small')]))).toBe('stored')
    expect(await removal.remove([{ recipient: CAROL, messageId: 'stored' }])).toBe(1)
    expect(largeIsDone).toBe(false)

    await Promise.all([large, ...same])
    await knex.destroy()
    await database.drop()
  },
)
