/** The SQL of the table of usage: how much is stored for each recipient, and from each sender. */
import type { Knex } from 'knex'
import type { IdentityKey } from '../../contract/protocol'
import { isMysql, QUERY_TIMEOUT } from '../engine/dialect'
import type { Statement } from '../engine/transaction'

/** Whose usage: a recipient's, or a sender's. The order is that in which rows are locked. */
export type Subject = 'inbox' | 'sender'

export interface Usage {
  subject: Subject
  identityKey: IdentityKey
  messages: number
  /** Of bodies. */
  bytes: number
}

/** What one message counts: for its recipient and for its sender. */
export interface Counted {
  recipient: IdentityKey
  sender: IdentityKey
  bytes: number
}

/** How long counting everything anew may take, in milliseconds. */
const RECOUNT_TIMEOUT = 60 * 60 * 1000

/** Adds up what messages count, one entry for each recipient and each sender, in the order of locking. */
export function sumUsage(messages: Counted[]): Usage[] {
  const sums = new Map<string, Usage>()
  const count = (subject: Subject, identityKey: IdentityKey, bytes: number): void => {
    const key = usageKey({ subject, identityKey })
    const sum = sums.get(key) ?? { subject, identityKey, messages: 0, bytes: 0 }
    sum.messages++
    sum.bytes += bytes
    sums.set(key, sum)
  }
  for (const { recipient, sender, bytes } of messages) {
    count('inbox', recipient, bytes)
    count('sender', sender, bytes)
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum)
}

export function usageKey({ subject, identityKey }: Pick<Usage, 'subject' | 'identityKey'>): string {
  return `${subject} ${identityKey}`
}

/** The most that a usage may come to; a number that is never reached, where there is no limit. */
export type Most = Record<Subject, { messages: number; bytes: number }>

/**
 * Adds to what is counted. It fails where that comes to more than is allowed, by a null where none may be: so what
 * is not allowed needs no further question, and the statement can travel with others. Rows are locked in the order
 * of the changes.
 */
export function addUsage(db: Knex, changes: Usage[], most: Most): Statement {
  const values = changes.flatMap(({ subject, identityKey, messages, bytes }) => [
    subject,
    identityKey,
    messages > most[subject].messages ? null : messages,
    bytes > most[subject].bytes ? null : bytes,
  ])
  const { inbox, sender } = most
  return upsert(
    db,
    changes.length,
    [...values, inbox.messages, sender.messages, inbox.bytes, sender.bytes] as Knex.RawBinding[],
    (column, added) =>
      `case when ${column} + ${added} > case when quota_usage.subject = 'inbox' then ? else ? end then null else ${column} + ${added} end`,
  )
}

/** Takes away from what is counted. */
export function subtractUsage(db: Knex, changes: Usage[]): Statement {
  const values = changes.flatMap(({ subject, identityKey, messages, bytes }) => [
    subject,
    identityKey,
    -messages,
    -bytes,
  ])
  return upsert(db, changes.length, values, (column, added) => `${column} + ${added}`)
}

function upsert(
  db: Knex,
  rows: number,
  bindings: Knex.RawBinding[],
  sum: (column: string, added: string) => string,
): Statement {
  const added = (column: string): string =>
    isMysql(db) ? `values(${column})` : `excluded.${column}`
  const set = ['messages', 'bytes']
    .map((column) => `${column} = ${sum(`quota_usage.${column}`, added(column))}`)
    .join(', ')
  const conflict = isMysql(db)
    ? 'on duplicate key update'
    : 'on conflict (identity_key, subject) do update set'
  const values = Array.from({ length: rows }, () => '(?, ?, ?, ?)').join(', ')
  return {
    sql: `insert into quota_usage (subject, identity_key, messages, bytes) values ${values} ${conflict} ${set}`,
    bindings,
  }
}

/** What is counted now, for each of these. */
export async function readUsage(
  db: Knex,
  whose: Array<Pick<Usage, 'subject' | 'identityKey'>>,
): Promise<Usage[]> {
  const rows = await db('quota_usage')
    .select('subject', 'identity_key', 'messages', 'bytes')
    .whereIn(
      ['identity_key', 'subject'],
      whose.map(({ subject, identityKey }) => [identityKey, subject]) as never,
    )
    .limit(whose.length)
    .timeout(QUERY_TIMEOUT)
  return rows.map((row) => ({
    subject: row.subject,
    identityKey: row.identity_key,
    messages: Number(row.messages),
    bytes: Number(row.bytes),
  }))
}

/** Counts everything anew. It reads the whole table, and is right while nobody else writes. */
export async function recount(db: Knex): Promise<void> {
  await db.transaction(async (trx) => {
    await trx('quota_usage').delete()
    for (const [subject, column] of [
      ['inbox', 'recipient'],
      ['sender', 'sender'],
    ] as const) {
      await trx
        .raw(
          `insert into quota_usage (subject, identity_key, messages, bytes)
        select ?, ${column}, count(*), sum(body_bytes) from messages group by ${column}`,
          [subject],
        )
        .timeout(RECOUNT_TIMEOUT)
    }
  })
}

/** Whether there are messages, and whether anything is counted: both of one moment. */
export async function isCounted(db: Knex): Promise<{ messages: boolean; usage: boolean }> {
  const result = await db
    .raw(
      'select exists(select 1 from messages) as messages, exists(select 1 from quota_usage) as counted',
    )
    .timeout(QUERY_TIMEOUT)
  const [row] = isMysql(db) ? result[0] : result
  return { messages: Boolean(row.messages), usage: Boolean(row.counted) }
}

/** Forgets all counts. */
export async function forgetUsage(db: Knex): Promise<void> {
  await db('quota_usage').delete()
}

/**
 * Removes rows that count nothing, of the next few identities behind one.
 * @returns where to go on, '' at the end
 */
export async function removeZeroUsage(
  db: Knex,
  behind: IdentityKey,
  limit: number,
): Promise<IdentityKey> {
  const page = await db('quota_usage')
    .distinct('identity_key')
    .where('identity_key', '>', behind)
    .orderBy('identity_key')
    .limit(limit)
    .timeout(QUERY_TIMEOUT)
  const keys = page.map((row) => row.identity_key as IdentityKey)
  if (keys.length > 0)
    await db('quota_usage')
      .whereIn('identity_key', keys)
      .where({ messages: 0, bytes: 0 })
      .delete()
      .timeout(QUERY_TIMEOUT)
  return keys.length < limit ? '' : keys.at(-1)!
}
