/** Compares the answers to clients with the server's lists and with its database. */
import type { Knex } from 'knex'
import type { DatabaseConfig } from '../../src/config'
import { createKnex } from '../../src/db/engine/knex'
import { text } from '../../src/db/engine/dialect'
import type { Caller } from '../clients/caller'
import { makeBody, type Entry, type Ledger } from './ledger'
import { BOX, type Load } from './load'

/** Unless stated otherwise, numbers count messages, one for each recipient. */
export interface Counts {
  sent: number
  answered: number
  /** Rows in the database at the end. */
  stored: number
  acknowledged: number
  /** Answered 200 and not acknowledged, but not listed, or not in the database. */
  missing: number
  /** Listed twice, or twice in the database. */
  twice: number
  /** Stored although the acknowledgement was answered. */
  cameBack: number
  /** Sends to several recipients that are stored for only some of them. */
  halfSent: number
  /** Listed with another body than was sent. */
  damaged: number
  /** Quota counts that differ from the stored messages. */
  miscounted: number
  /** In the database, but not sent or not listed. */
  stray: number
  /** Repeated requests, and how many of them were duplicates. */
  repeats: number
  duplicates: number
  unanswered: number
  refused: number
  /** The longest time until an answer or a failure, in milliseconds. */
  slowest: number
  /** Descriptions of everything else that should not happen. */
  faults: string[]
}

/** Counts that must be zero. */
const NEVER = [
  'missing',
  'twice',
  'cameBack',
  'halfSent',
  'damaged',
  'miscounted',
  'stray',
] as const

export const SOUND = { ...Object.fromEntries(NEVER.map((name) => [name, 0])), faults: [] }

export function isSound(counts: Counts): boolean {
  return NEVER.every((name) => counts[name] === 0) && counts.faults.length === 0
}

/** Reads all messages, through the server and from the database. */
export async function audit(
  { ledger, recipients }: Load,
  database: DatabaseConfig,
): Promise<Counts> {
  const listed = new Map<string, number>()
  let damaged = 0
  for (const recipient of recipients) {
    for await (const { messageId, body } of listAll(recipient)) {
      count(listed, messageId)
      const entry = ledger.entries.get(messageId)
      if (
        entry?.recipient !== recipient.identityKey ||
        body !== makeBody(entry.together[0]!, entry.size)
      )
        damaged++
    }
  }
  const { rows, miscounted } = await readDatabase(database)
  const entries = [...ledger.entries.values()]
  const isThere = ({ messageId }: Entry): boolean => listed.has(messageId) && rows.has(messageId)
  const { repeats, duplicates, unanswered, refused, slowest, faults } = ledger
  return {
    sent: entries.length,
    answered: entries.filter((entry) => entry.answered).length,
    stored: [...rows.values()].reduce((sum, times) => sum + times, 0),
    acknowledged: entries.filter((entry) => entry.acknowledged === 'answered').length,
    missing: entries.filter(
      (entry) => entry.answered && entry.acknowledged === 'no' && !isThere(entry),
    ).length,
    twice: entries.filter(
      ({ messageId }) => (listed.get(messageId) ?? 0) > 1 || (rows.get(messageId) ?? 0) > 1,
    ).length,
    cameBack: entries.filter(
      ({ messageId, acknowledged }) =>
        acknowledged === 'answered' && (listed.has(messageId) || rows.has(messageId)),
    ).length,
    halfSent: countHalfSent(ledger, rows),
    damaged,
    miscounted,
    stray: [...rows.keys()].filter(
      (messageId) => !ledger.entries.has(messageId) || !listed.has(messageId),
    ).length,
    repeats,
    duplicates,
    unanswered,
    refused,
    slowest,
    faults,
  }
}

async function* listAll(recipient: Caller): AsyncGenerator<{ messageId: string; body: string }> {
  let offset: number | null = 0
  while (offset !== null) {
    const page = await recipient.post('/listMessages', { messageBox: BOX, offset })
    if (page?.status !== 200)
      throw new Error(`The list was answered ${page?.status}: ${JSON.stringify(page?.body)}`)
    yield* page.body.messages as Array<{ messageId: string; body: string }>
    offset = page.body.nextOffset as number | null
  }
}

/** Counts the rows of each id, and checks the table and its indexes. */
async function readDatabase(
  database: DatabaseConfig,
): Promise<{ rows: Map<string, number>; miscounted: number }> {
  const knex = createKnex(database)
  try {
    await check(knex, database)
    const rows = new Map<string, number>()
    for (const row of await knex('messages').select('message_id', 'created_at'))
      count(rows, text(row.message_id))
    return { rows, miscounted: await countMiscounted(knex) }
  } finally {
    await knex.destroy()
  }
}

/** Compares the counts of the quotas with the stored messages. */
async function countMiscounted(knex: Knex): Promise<number> {
  const counted = new Map<string, string>()
  for (const row of await knex('quota_usage')) {
    if (Number(row.messages) !== 0 || Number(row.bytes) !== 0)
      counted.set(`${row.subject} ${row.identity_key}`, `${row.messages} ${row.bytes}`)
  }
  let wrong = 0
  for (const [subject, column] of [
    ['inbox', 'recipient'],
    ['sender', 'sender'],
  ] as const) {
    for (const row of (await knex('messages')
      .select({ key: column })
      .count({ messages: '*' })
      .sum({ bytes: 'body_bytes' })
      .groupBy(column)) as Array<Record<string, unknown>>) {
      const name = `${subject} ${row.key}`
      if (counted.get(name) !== `${row.messages} ${row.bytes}`) wrong++
      counted.delete(name)
    }
  }
  return wrong + counted.size
}

async function check(knex: Knex, { client }: DatabaseConfig): Promise<void> {
  const verdicts =
    client === 'mysql2'
      ? (await knex.raw('check table messages extended'))[0].map(
          (row: { Msg_text: string }) => row.Msg_text,
        )
      : (await knex.raw('pragma integrity_check')).map(
          (row: { integrity_check: string }) => row.integrity_check,
        )
  if (verdicts.length !== 1 || verdicts[0].toLowerCase() !== 'ok')
    throw new Error(`The table is corrupt: ${verdicts.join(', ')}`)
}

function countHalfSent(ledger: Ledger, rows: Map<string, number>): number {
  const sends = new Set([...ledger.entries.values()].map((entry) => entry.together))
  return [...sends].filter((ids) => {
    // A message that its recipient acknowledged may be removed.
    const kept = ids.filter((id) => ledger.entries.get(id)!.acknowledged === 'no')
    return new Set(kept.map((id) => rows.has(id))).size > 1
  }).length
}

function count(times: Map<string, number>, id: string): void {
  times.set(id, (times.get(id) ?? 0) + 1)
}
