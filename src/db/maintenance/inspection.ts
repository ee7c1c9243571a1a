/** Queries for whoever operates the server: how much there is, and where. None of them reads a body. */
import type { Knex } from 'knex'
import type { IdentityKey } from '../../contract/protocol'
import { bytes, isMysql, QUERY_TIMEOUT_MS, text } from '../engine/dialect'
import { codeOf } from '../engine/faults'
import type { PaymentState } from '../payments'
import { isCounted } from '../quotas'

/** How long counting may take, in milliseconds, and how long where it was asked for whatever it takes. */
const PATIENCE = 10_000
const EXACT_PATIENCE = 60 * 60 * 1000

/** How much is stored. What could not be counted in time is null. */
export interface Totals {
  /** The counts of the quotas, which are cheap to read, or the messages themselves. */
  source: 'quotas' | 'messages'
  messages: number | null
  /** Of bodies. */
  bytes: number | null
  recipients: number | null
  senders: number | null
  boxes: number | null
}

/**
 * @param exact counts the messages themselves, which reads the whole table, in place of adding up what the quotas count
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
  const rows = await inTime(db, query, PATIENCE)
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

/** The index of the boxes has all that is asked for but the senders, who stand in the rows alone. */
async function countMessages(db: Knex, exact: boolean): Promise<Omit<Totals, 'boxes'>> {
  const patience = exact ? EXACT_PATIENCE : PATIENCE
  const stored = await inTime(
    db,
    db('messages')
      .count({ messages: '*' })
      .sum({ bytes: 'body_bytes' })
      .countDistinct({ recipients: 'recipient' }),
    patience,
  )
  const senders = exact
    ? await inTime(db, db('messages').countDistinct({ senders: 'sender' }), patience)
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
    exact ? EXACT_PATIENCE : PATIENCE,
  )
  return rows === null ? null : Number(rows[0]?.boxes)
}

/** Null where MySQL takes longer; SQLite, which works within this process, always comes to its end. */
async function inTime(
  db: Knex,
  query: Knex.QueryBuilder,
  patience: number,
): Promise<Array<Record<string, unknown>> | null> {
  if (!isMysql(db)) return await query
  try {
    return await query.timeout(patience, { cancel: true })
  } catch (error) {
    if (codeOf(error) === 'KnexTimeoutError') return null
    throw error
  }
}

/** When the messages that arrived first and last were stored, in milliseconds since 1970; null where there are none. */
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

/** How many rows the smaller tables hold. */
export async function countOthers(
  db: Knex,
): Promise<{ rules: number; devices: number; payments: Record<PaymentState, number> }> {
  const count = async (table: string): Promise<number> =>
    Number((await db(table).count({ count: '*' }).timeout(PATIENCE))[0]!.count)
  const rows: Array<Record<string, unknown>> = await db('payments')
    .select('state')
    .count({ count: '*' })
    .groupBy('state')
    .orderBy('state')
    .timeout(PATIENCE)
  const payments = {
    claimed: 0,
    stored: 0,
    settled: 0,
    ...Object.fromEntries(rows.map((row) => [row.state as PaymentState, Number(row.count)])),
  }
  return { rules: await count('permissions'), devices: await count('devices'), payments }
}

/** Whether any recipient charges for a box. */
export async function hasPrices(db: Knex): Promise<boolean> {
  return (
    (await db('permissions')
      .first('recipient')
      .where('recipient_fee', '>', 0)
      .timeout(QUERY_TIMEOUT_MS)) !== undefined
  )
}

/** A box that holds something. Times are milliseconds since 1970. */
export interface Box {
  messageBox: string
  messages: number
  /** Of bodies. */
  bytes: number
  oldest: number | null
  newest: number | null
}

/** A recipient's boxes by their names, those behind one. The index of the boxes has all of it but the times. */
export async function selectBoxes(
  db: Knex,
  recipient: IdentityKey,
  behind: string,
  limit: number,
): Promise<Box[]> {
  const rows: Array<Record<string, unknown>> = await db('messages')
    .select('message_box')
    .count({ messages: '*' })
    .sum({ bytes: 'body_bytes' })
    .min({ first: 'id' })
    .max({ last: 'id' })
    .where({ recipient })
    .where('message_box', '>', bytes(db, behind))
    .groupBy('message_box')
    .orderBy('message_box')
    .limit(limit)
    .timeout(PATIENCE)
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
    // A message that was acknowledged between the two queries has no time any more.
    oldest: times.get(Number(row.first)) ?? null,
    newest: times.get(Number(row.last)) ?? null,
  }))
}

/** What is known of a message without its body. */
export interface Header {
  /** The number of its row: they follow the order of arrival. */
  id: number
  messageId: string
  sender: IdentityKey
  /** Of the body. */
  bytes: number
  /** Milliseconds since 1970. */
  createdAt: number
}

/** The messages of a box in order of arrival, those behind a row. */
export async function selectHeaders(
  db: Knex,
  recipient: IdentityKey,
  messageBox: string,
  behind: number,
  limit: number,
): Promise<Header[]> {
  const rows = await db('messages')
    .select('id', 'message_id', 'sender', 'body_bytes', 'created_at')
    .where({ recipient, message_box: bytes(db, messageBox) })
    .where('id', '>', behind)
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
