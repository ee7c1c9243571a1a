import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import { text } from '../../src/db/engine/dialect'
import { createKnex } from '../../src/db/engine/knex'
import {
  deleteMessages,
  findByIds,
  insertInPieces,
  insertMessages as insertStatement,
  selectPage,
  type StoredMessage,
} from '../../src/db/messages/sql'
import { migrate } from '../../src/db/engine/migrate'
import { execute } from '../../src/db/engine/transaction'
import { createDatabase, ENGINES, type TestDatabase } from '../../tools/databases/databases'

const newKey = (): string => `02${randomBytes(32).toString('hex')}`
const SENDER = newKey()
const EVERYTHING = { limit: 1000, offset: 0 }
const PLENTY = 1e9

const messageOf = (
  recipient: string,
  messageId: string,
  more: Partial<StoredMessage> = {},
): StoredMessage => {
  return {
    recipient,
    messageBox: 'inbox',
    messageId,
    sender: SENDER,
    body: `body of ${messageId}`,
    ...more,
  }
}

async function insertMessages(knex: Knex, messages: StoredMessage[], now: number): Promise<void> {
  await execute(knex, insertStatement(messages, now))
}

describe.each(ENGINES)('messages on %s', (engine) => {
  let database: TestDatabase
  let knex: Knex

  beforeAll(async () => {
    database = await createDatabase(engine)
    knex = createKnex(database.config)
    await migrate(knex, database.config)
    // On a small table, the database may choose to read all rows.
    for (const recipient of [SENDER, ...Array.from({ length: 20 }, newKey)]) {
      await insertMessages(
        knex,
        Array.from({ length: 200 }, (_value, i) =>
          messageOf(recipient, `id ${i}`, { messageBox: `box ${i % 4}` }),
        ),
        1,
      )
    }
    await knex.raw(engine === 'mysql' ? 'analyze table messages' : 'analyze')
  })

  afterAll(async () => {
    await knex.destroy()
    await database.drop()
  })

  const idsOf = async (recipient: string, messageBox = 'inbox'): Promise<string[]> => {
    const { rows } = await selectPage(knex, recipient, { messageBox, ...EVERYTHING }, PLENTY)
    return rows.map((row) => text(row.message_id))
  }

  describe('queries read only the rows that they need', () => {
    interface Query {
      sql: string
      bindings: Knex.RawBinding[]
    }

    /** The statements that `work` runs, except inserts. */
    async function statementsOf(work: (db: Knex) => Promise<unknown>): Promise<Query[]> {
      const queries: Query[] = []
      const listen = ({ sql, bindings }: Query): void => {
        if (!/^(insert|begin|commit)/i.test(sql)) queries.push({ sql, bindings })
      }
      knex.on('query', listen)
      await work(knex)
      knex.off('query', listen)
      return queries
    }

    /** How a statement accesses the messages table, by the query plan: one line for each access. */
    async function accessesOf({ sql, bindings }: Query): Promise<string[]> {
      if (engine === 'sqlite') {
        const plan = await knex.raw<Array<{ detail: string }>>(
          `explain query plan ${sql}`,
          bindings,
        )
        return plan
          .map((row) => row.detail)
          .filter((detail) => /\b(messages|m)\b/.test(detail) && /^(SCAN|SEARCH)/.test(detail))
      }
      const [plan] = (await knex.raw(`explain ${sql}`, bindings)) as [
        Array<Record<'table' | 'type' | 'key' | 'Extra', string | null>>,
      ]
      return plan
        .filter((row) => row.table === 'm' || row.table === 'messages')
        .map((row) => `${row.type} ${row.key}: ${row.Extra}`)
    }

    const long = 'x'.repeat(6 * 1024 * 1024)
    const box = async (db: Knex): Promise<unknown> =>
      await selectPage(db, SENDER, { messageBox: 'box 1', limit: 20, offset: 10 }, 1e6)

    test.each<[string, (db: Knex) => Promise<unknown>]>([
      ['a page', box],
      ['one id', async (db) => await findByIds(db, [messageOf(SENDER, 'id 0')])],
      [
        '500 ids',
        async (db) =>
          await findByIds(
            db,
            Array.from({ length: 500 }, (_value, i) => messageOf(newKey(), `id ${i}`)),
          ),
      ],
      ['one acknowledgement', async (db) => await deleteMessages(db, [messageOf(SENDER, 'id 0')])],
      [
        '1000 acknowledgements',
        async (db) =>
          await deleteMessages(
            db,
            Array.from({ length: 1000 }, (_value, i) => messageOf(SENDER, `id ${i}`)),
          ),
      ],
      [
        'a body in pieces',
        async (db) =>
          await insertInPieces(db, messageOf(SENDER, 'long', { body: long }), 1, 5 * 1024 * 1024),
      ],
    ])('%s', async (_name, work) => {
      const [query, ...others] = await statementsOf(work)

      expect(others).toEqual([])
      const accesses = await accessesOf(query!)
      expect(accesses.length).toBeGreaterThan(0)
      for (const access of accesses) {
        expect(access).toMatch(
          engine === 'sqlite'
            ? /^SEARCH .* USING .*(INDEX messages_|INTEGER PRIMARY KEY)/
            : /^(const|ref|eq_ref|range) (messages_|PRIMARY)/,
        )
      }
    })

    test('a page is measured with the index of its box, in the order of that index', async () => {
      const [query] = await statementsOf(box)
      const accesses = await accessesOf(query!)
      expect(accesses).toContainEqual(
        expect.stringMatching(
          engine === 'sqlite'
            ? /COVERING INDEX messages_box \(recipient=\? AND message_box=\?\)/
            : /^ref messages_box: .*Using index/,
        ),
      )
      expect(accesses.join()).not.toContain('filesort')
    })

    test('a page after a cursor begins in the index of its box', async () => {
      const recipient = newKey()
      const messages = Array.from({ length: 4000 }, (_value, i) => messageOf(recipient, `id ${i}`))
      await insertMessages(knex, messages, 1)
      const [middle] = (await knex('messages').where({ recipient }).orderBy('id').offset(2000)) as [
        { id: number },
      ]
      const page = { messageBox: 'inbox', limit: 20, offset: 0, after: middle.id }
      const [query] = await statementsOf(async (db) => await selectPage(db, recipient, page, 1e6))
      const accesses = await accessesOf(query!)
      expect(accesses).toContainEqual(
        expect.stringMatching(
          engine === 'sqlite'
            ? /COVERING INDEX messages_box \(recipient=\? AND message_box=\? AND id>\?\)/
            : /^range messages_box: .*Using index/,
        ),
      )
      expect(accesses.join()).not.toContain('filesort')
    })
  })

  describe('keys, names and ids are compared as bytes', () => {
    const SPELLINGS = [
      'a',
      'A',
      'á',
      'a\u0301',
      'ä',
      'ａ',
      'a ',
      'a  ',
      ' a',
      'a\u0000',
      'a\t',
      'ß',
      'ss',
      'SS',
      'ı',
      'i',
      'İ',
      'K',
      '\u212a',
      '📦',
      '📫',
      'x'.repeat(255),
      '📦'.repeat(255),
    ]

    test('each spelling of an id is a different id', async () => {
      const recipient = newKey()
      await insertMessages(
        knex,
        SPELLINGS.map((id) => messageOf(recipient, id)),
        1,
      )

      for (const id of SPELLINGS)
        expect(await findByIds(knex, [messageOf(recipient, id)])).toMatchObject([{ messageId: id }])
      expect(await idsOf(recipient)).toEqual(SPELLINGS)
      for (const [index, id] of SPELLINGS.entries()) {
        expect(await deleteMessages(knex, [messageOf(recipient, id)])).toBe(1)
        expect(await idsOf(recipient)).toEqual(SPELLINGS.slice(index + 1))
      }
    })

    test('each spelling of a box name is a different box', async () => {
      const recipient = newKey()
      await insertMessages(
        knex,
        SPELLINGS.map((messageBox, index) => messageOf(recipient, `id ${index}`, { messageBox })),
        1,
      )

      for (const [index, messageBox] of SPELLINGS.entries())
        expect(await idsOf(recipient, messageBox)).toEqual([`id ${index}`])
    })

    test('a taken id fails the whole statement', async () => {
      const recipient = newKey()
      await insertMessages(knex, [messageOf(recipient, 'a')], 1)

      await expect(
        insertMessages(knex, [messageOf(recipient, 'b'), messageOf(recipient, 'a')], 2),
      ).rejects.toMatchObject({
        code: expect.stringMatching(/ER_DUP_ENTRY|SQLITE_CONSTRAINT_UNIQUE/),
      })

      expect(await idsOf(recipient)).toEqual(['a'])
    })

    test('findByIds returns the sender, body and time of each message', async () => {
      const [one, two] = [newKey(), newKey()]
      await insertMessages(
        knex,
        [messageOf(one, 'a', { messageBox: 'Böx' }), messageOf(two, 'b')],
        1234567890123,
      )

      const found = await findByIds(knex, [
        messageOf(one, 'a'),
        messageOf(two, 'b'),
        messageOf(one, 'b'),
        messageOf(two, 'a'),
      ])

      expect(found.sort((x, y) => (x.messageId < y.messageId ? -1 : 1))).toEqual([
        {
          recipient: one,
          messageBox: 'Böx',
          messageId: 'a',
          sender: SENDER,
          createdAt: 1234567890123,
        },
        {
          recipient: two,
          messageBox: 'inbox',
          messageId: 'b',
          sender: SENDER,
          createdAt: 1234567890123,
        },
      ])
    })
  })

  describe('a page', () => {
    test('is in order of arrival, regardless of ids and times', async () => {
      const recipient = newKey()
      const ids = ['c', 'a', 'b', 'z', 'y']
      for (const [index, id] of ids.entries())
        await insertMessages(knex, [messageOf(recipient, id), messageOf(newKey(), id)], 100 - index)
      expect(await idsOf(recipient)).toEqual(ids)
    })

    test('of many messages ends before one that does not fit, and has one that is alone', async () => {
      const recipient = newKey()
      const small = Array.from({ length: 250 }, (_value, i) =>
        messageOf(recipient, `id ${i}`, { body: 'x'.repeat(10) }),
      )
      const large = messageOf(recipient, 'large', { body: 'x'.repeat(5000) })
      const messages = [...small.slice(0, 200), large, ...small.slice(200)]
      await insertMessages(knex, messages, 1)
      const page = async (
        offset: number,
      ): Promise<[count: number, last: string, more: boolean]> => {
        const request = { messageBox: 'inbox', limit: 1000, offset }
        const { rows, more } = await selectPage(knex, recipient, request, 3000)
        return [rows.length, text(rows.at(-1)!.message_id), more]
      }

      expect(await page(0)).toEqual([200, 'id 199', true])
      expect(await page(150)).toEqual([50, 'id 199', true])
      expect(await page(200)).toEqual([1, 'large', true])
      expect(await page(201)).toEqual([50, 'id 249', false])
    })

    test('ends at its limit and reports whether there are more messages', async () => {
      const recipient = newKey()
      await insertMessages(
        knex,
        ['a', 'b', 'c'].map((id) => messageOf(recipient, id)),
        1,
      )
      const page = async (limit: number, offset: number): Promise<[string, boolean]> => {
        const { rows, more } = await selectPage(
          knex,
          recipient,
          { messageBox: 'inbox', limit, offset },
          PLENTY,
        )
        return [rows.map((row) => text(row.message_id)).join(''), more]
      }

      expect(await page(1, 0)).toEqual(['a', true])
      expect(await page(2, 1)).toEqual(['bc', false])
      expect(await page(3, 0)).toEqual(['abc', false])
      expect(await page(1000, 2)).toEqual(['c', false])
      expect(await page(1000, 3)).toEqual(['', false])
    })

    test.each([
      [[10, 10, 10], 30, 3],
      [[10, 10, 10], 29, 2],
      [[10, 10, 10], 20, 2],
      [[10, 10, 10], 19, 1],
      [[10, 10, 10], 1, 1],
      [[100, 1, 1], 50, 1],
      [[1, 100, 1], 50, 1],
      [[1, 1, 100], 50, 2],
      [[100], 50, 1],
    ])(
      'of bodies of %j bytes with a maximum of %i bytes holds %i',
      async (sizes, maxBytes, count) => {
        const recipient = newKey()
        await insertMessages(
          knex,
          sizes.map((size, index) =>
            messageOf(recipient, `id ${index}`, { body: 'x'.repeat(size) }),
          ),
          1,
        )

        const { rows, more } = await selectPage(
          knex,
          recipient,
          { messageBox: 'inbox', ...EVERYTHING },
          maxBytes,
        )

        expect([rows.length, more]).toEqual([count, count < sizes.length])
      },
    )

    test('is measured in bytes of UTF-8', async () => {
      const recipient = newKey()
      await insertMessages(
        knex,
        ['📦📦', 'ää', 'xx'].map((body, index) => messageOf(recipient, `id ${index}`, { body })),
        1,
      )
      for (const [maxBytes, count] of [
        [11, 1],
        [12, 2],
        [13, 2],
        [14, 3],
      ] as const) {
        expect(
          (await selectPage(knex, recipient, { messageBox: 'inbox', ...EVERYTHING }, maxBytes))
            .rows,
        ).toHaveLength(count)
      }
    })
  })

  test('a body written in pieces is read as the same text and measured as a whole', async () => {
    const recipient = newKey()
    // A character crosses every boundary of 4 MiB.
    const body = `x${'📦'.repeat(3 * 1024 * 1024)}\u0000'"\\ end`
    await knex.transaction(async (trx) => {
      await insertInPieces(trx, messageOf(recipient, 'long', { body }), 1, 5 * 1024 * 1024)
    })
    await insertMessages(knex, [messageOf(recipient, 'short')], 1)

    const { rows, more } = await selectPage(
      knex,
      recipient,
      { messageBox: 'inbox', ...EVERYTHING },
      Buffer.byteLength(body),
    )

    expect([rows.length, more, text(rows[0]!.body) === body]).toEqual([1, true, true])
  })
})
