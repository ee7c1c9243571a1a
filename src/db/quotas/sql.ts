/**
 * The SQL of the table `quota_usage`: how much is stored for each recipient and from each sender.
 */
import type { Knex } from 'knex'
import type { IdentityKey } from '../../contract/protocol'
import { isMysql, QUERY_TIMEOUT_MS } from '../engine/dialect'
import type { Statement } from '../engine/transaction'

/** A recipient's usage or a sender's. Rows are locked in the order of this name. */
export type Subject = 'inbox' | 'sender'

export interface Usage {
  subject: Subject
  identityKey: IdentityKey
  messages: number
  /** Of bodies. */
  bytes: number
}

/** A message that counts for its recipient and for its sender. */
export interface Counted {
  recipient: IdentityKey
  sender: IdentityKey
  bytes: number
}

const RECOUNT_TIMEOUT_MS = 60 * 60 * 1000

/** Sums up messages: one entry for each recipient and each sender, in the order of locking. */
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

/** If a quota is off, its limit is a number that no usage reaches. */
export type UsageLimits = Record<Subject, { messages: number; bytes: number }>

/**
 * Adds to the counts. If a sum exceeds its limit, the statement writes NULL into a NOT NULL column
 * and so fails (`isNullRefused`). This saves a query that reads the counts first, and the statement
 * shares a round trip with the insertion. Rows are locked in the order of the changes.
 */
export function addUsage(db: Knex, changes: Usage[], limits: UsageLimits): Statement {
  const values = changes.flatMap(({ subject, identityKey, messages, bytes }) => [
    subject,
    identityKey,
    messages > limits[subject].messages ? null : messages,
    bytes > limits[subject].bytes ? null : bytes,
  ])
  const { inbox, sender } = limits
  return upsert(
    db,
    changes.length,
    [...values, inbox.messages, sender.messages, inbox.bytes, sender.bytes] as Knex.RawBinding[],
    (column, added) =>
      `case when ${column} + ${added} > case when quota_usage.subject = 'inbox' then ? else ? end` +
      ` then null else ${column} + ${added} end`,
  )
}

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
    sql:
      'insert into quota_usage (subject, identity_key, messages, bytes)' +
      ` values ${values} ${conflict} ${set}`,
    bindings,
  }
}

export async function readUsage(
  db: Knex,
  keys: Array<Pick<Usage, 'subject' | 'identityKey'>>,
): Promise<Usage[]> {
  const rows = await db('quota_usage')
    .select('subject', 'identity_key', 'messages', 'bytes')
    .whereIn(
      ['identity_key', 'subject'],
      keys.map(({ subject, identityKey }) => [identityKey, subject]) as never,
    )
    .limit(keys.length)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map((row) => ({
    subject: row.subject,
    identityKey: row.identity_key,
    messages: Number(row.messages),
    bytes: Number(row.bytes),
  }))
}

/** Counts all messages again. Correct only if no other node writes meanwhile. */
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
        .timeout(RECOUNT_TIMEOUT_MS)
    }
  })
}

/** Whether there are messages, and whether there are counts, at the same moment. */
export async function isCounted(db: Knex): Promise<{ messages: boolean; usage: boolean }> {
  const result = await db
    .raw(
      'select exists(select 1 from messages) as messages,' +
        ' exists(select 1 from quota_usage) as counted',
    )
    .timeout(QUERY_TIMEOUT_MS)
  const [row] = isMysql(db) ? result[0] : result
  return { messages: Boolean(row.messages), usage: Boolean(row.counted) }
}

export async function forgetUsage(db: Knex): Promise<void> {
  await db('quota_usage').delete()
}

/**
 * Removes the rows whose counts are zero, for the next identities after a given one.
 * @returns the identity to continue after, '' at the end
 */
export async function removeZeroUsage(
  db: Knex,
  after: IdentityKey,
  limit: number,
): Promise<IdentityKey> {
  const page = await db('quota_usage')
    .distinct('identity_key')
    .where('identity_key', '>', after)
    .orderBy('identity_key')
    .limit(limit)
    .timeout(QUERY_TIMEOUT_MS)
  const keys = page.map((row) => row.identity_key as IdentityKey)
  if (keys.length > 0)
    await db('quota_usage')
      .whereIn('identity_key', keys)
      .where({ messages: 0, bytes: 0 })
      .delete()
      .timeout(QUERY_TIMEOUT_MS)
  return keys.length < limit ? '' : keys.at(-1)!
}
