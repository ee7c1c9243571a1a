/** Queries of the operator's commands: how much is stored, and where. None of them reads a body. */
import type { Knex } from 'knex'
import type { IdentityKey } from '../../contract/protocol'
import { bytes, isMysql, QUERY_TIMEOUT_MS, text } from '../engine/dialect'
import { codeOf } from '../engine/faults'
import type { PaymentState } from '../payments'
import { isCounted } from '../quotas'

const COUNT_TIMEOUT_MS = 10_000
const EXACT_COUNT_TIMEOUT_MS = 60 * 60 * 1000

/** How much is stored. Counts that took too long are null. */
export interface Totals {
  /** Whether the quotas' counts were summed up, which is cheap, or the messages were counted. */
  source: 'quotas' | 'messages'
  messages: number | null
  /** Of bodies. */
  bytes: number | null
  recipients: number | null
  senders: number | null
  boxes: number | null
}

/**
 * @param exact counts the messages themselves. This reads the whole table.
 */
export async function readTotals(db: Knex, exact: boolean): Promise<Totals> {
  const { usage } = await isCounted(db)
  const boxes = await countBoxes(db, exact)
  return { boxes, ...(usage && !exact ? await addUpUsage(db) : await countMessages(db, exact)) }
}

async function addUpUsage(db: Knex): Promise<Omit<Totals, 'boxes'>> {
  const query = db('quota_usage')
    .select('subject')
    .count({ identities: '*' })
    .sum({ messages: 'messages', bytes: 'bytes' })
    .where('messages', '>', 0)
    .groupBy('subject')
    .orderBy('subject')
  const rows = await inTime(db, query, COUNT_TIMEOUT_MS)
  if (rows === null)
    return { source: 'quotas', messages: null, bytes: null, recipients: null, senders: null }
  const [inbox, sender] = ['inbox', 'sender'].map((subject) =>
    rows.find((row) => row.subject === subject),
  )
  return {
    source: 'quotas',
    messages: Number(inbox?.messages ?? 0),
    bytes: Number(inbox?.bytes ?? 0),
    recipients: Number(inbox?.identities ?? 0),
    senders: Number(sender?.identities ?? 0),
  }
}

/** Uses the index of the boxes, except for the senders, which are only in the rows. */
async function countMessages(db: Knex, exact: boolean): Promise<Omit<Totals, 'boxes'>> {
  const timeoutMs = exact ? EXACT_COUNT_TIMEOUT_MS : COUNT_TIMEOUT_MS
  const stored = await inTime(
    db,
    db('messages')
      .count({ messages: '*' })
      .sum({ bytes: 'body_bytes' })
      .countDistinct({ recipients: 'recipient' }),
    timeoutMs,
  )
  const senders = exact
    ? await inTime(db, db('messages').countDistinct({ senders: 'sender' }), timeoutMs)
    : null
  const number = (value: unknown): number | null => (stored === null ? null : Number(value ?? 0))
  const [row] = stored ?? []
  return {
    source: 'messages',
    messages: number(row?.messages),
    bytes: number(row?.bytes),
    recipients: number(row?.recipients),
    senders: senders === null ? null : Number(senders[0]?.senders),
  }
}

async function countBoxes(db: Knex, exact: boolean): Promise<number | null> {
  const rows = await inTime(
    db,
    db.count({ boxes: '*' }).from(db('messages').distinct('recipient', 'message_box').as('boxes')),
    exact ? EXACT_COUNT_TIMEOUT_MS : COUNT_TIMEOUT_MS,
  )
  return rows === null ? null : Number(rows[0]?.boxes)
}

/** Null if MySQL takes longer. SQLite works within this process and has no timeout. */
async function inTime(
  db: Knex,
  query: Knex.QueryBuilder,
  timeoutMs: number,
): Promise<Array<Record<string, unknown>> | null> {
  if (!isMysql(db)) return await query
  try {
    return await query.timeout(timeoutMs, { cancel: true })
  } catch (error) {
    if (codeOf(error) === 'KnexTimeoutError') return null
    throw error
  }
}

/**
 * When the first and the last message were stored, in milliseconds since 1970. Null if none are.
 */
export async function readSpan(
  db: Knex,
): Promise<{ oldest: number | null; newest: number | null }> {
  const end = async (direction: 'asc' | 'desc'): Promise<number | null> => {
    const row = await db('messages')
      .first('created_at')
      .orderBy('id', direction)
      .timeout(QUERY_TIMEOUT_MS)
    return row === undefined ? null : Number(row.created_at)
  }
  return { oldest: await end('asc'), newest: await end('desc') }
}

export async function countOthers(
  db: Knex,
): Promise<{ rules: number; devices: number; payments: Record<PaymentState, number> }> {
  const count = async (table: string): Promise<number> =>
    Number((await db(table).count({ count: '*' }).timeout(COUNT_TIMEOUT_MS))[0]!.count)
  const rows: Array<Record<string, unknown>> = await db('payments')
    .select('state')
    .count({ count: '*' })
    .groupBy('state')
    .orderBy('state')
    .timeout(COUNT_TIMEOUT_MS)
  const payments = {
    claimed: 0,
    stored: 0,
    settled: 0,
    ...Object.fromEntries(rows.map((row) => [row.state as PaymentState, Number(row.count)])),
  }
  return { rules: await count('permissions'), devices: await count('devices'), payments }
}

export async function hasPrices(db: Knex): Promise<boolean> {
  return (
    (await db('permissions')
      .first('recipient')
      .where('recipient_fee', '>', 0)
      .timeout(QUERY_TIMEOUT_MS)) !== undefined
  )
}

/** A box with messages. Times are milliseconds since 1970. */
export interface Box {
  messageBox: string
  messages: number
  /** Of bodies. */
  bytes: number
  oldest: number | null
  newest: number | null
}

/** A recipient's boxes after a name, sorted by name. Only the times are not in the index. */
export async function selectBoxes(
  db: Knex,
  recipient: IdentityKey,
  after: string,
  limit: number,
): Promise<Box[]> {
  const rows: Array<Record<string, unknown>> = await db('messages')
    .select('message_box')
    .count({ messages: '*' })
    .sum({ bytes: 'body_bytes' })
    .min({ first: 'id' })
    .max({ last: 'id' })
    .where({ recipient })
    .where('message_box', '>', bytes(db, after))
    .groupBy('message_box')
    .orderBy('message_box')
    .limit(limit)
    .timeout(COUNT_TIMEOUT_MS)
  const ends = await db('messages')
    .select('id', 'created_at')
    .whereIn('id', rows.flatMap(({ first, last }) => [first, last]) as number[])
    .limit(2 * limit)
    .timeout(QUERY_TIMEOUT_MS)
  const times = new Map(ends.map((row) => [Number(row.id), Number(row.created_at)]))
  return rows.map((row) => ({
    messageBox: text(row.message_box as string | Buffer),
    messages: Number(row.messages),
    bytes: Number(row.bytes),
    // A message that was acknowledged between the two queries has no time.
    oldest: times.get(Number(row.first)) ?? null,
    newest: times.get(Number(row.last)) ?? null,
  }))
}

/** A message without its body. */
export interface Header {
  /** The number of its row, in order of arrival. */
  id: number
  messageId: string
  sender: IdentityKey
  /** Of the body. */
  bytes: number
  /** Milliseconds since 1970. */
  createdAt: number
}

/** The messages of a box after a row, in order of arrival. */
export async function selectHeaders(
  db: Knex,
  recipient: IdentityKey,
  messageBox: string,
  after: number,
  limit: number,
): Promise<Header[]> {
  const rows = await db('messages')
    .select('id', 'message_id', 'sender', 'body_bytes', 'created_at')
    .where({ recipient, message_box: bytes(db, messageBox) })
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map((row) => ({
    id: Number(row.id),
    messageId: text(row.message_id),
    sender: row.sender,
    bytes: Number(row.body_bytes),
    createdAt: Number(row.created_at),
  }))
}
