/** The SQL of the table `messages`. */
import type { Knex } from 'knex'
import type { IdentityKey, ListRequest } from '../../contract/protocol'
import { bytes, isMysql, QUERY_TIMEOUT_MS, text } from '../engine/dialect'
import { execute, type Rows, type Statement } from '../engine/transaction'

/** `body` is what /listMessages returns. */
export interface StoredMessage {
  recipient: IdentityKey
  messageBox: string
  messageId: string
  sender: IdentityKey
  body: string
}

/** A message is identified by its recipient and its id together. */
export interface MessageName {
  recipient: IdentityKey
  messageId: string
}

export function idKey({ recipient, messageId }: MessageName): string {
  return `${recipient} ${messageId}`
}

export interface MessageRow {
  message_id: string | Buffer
  sender: IdentityKey
  body: string | Buffer
  created_at: number
  updated_at: number
  id: number
}

/** `after` is the row id that the page begins behind. */
export type PageRequest = Omit<ListRequest, 'after'> & { after?: number }

const COLUMNS = [
  'recipient',
  'message_box',
  'message_id',
  'sender',
  'body',
  'body_bytes',
  'created_at',
  'updated_at',
]
const INSERT = `insert into messages (${COLUMNS.join(', ')}) values `
const ROW = `(${COLUMNS.map(() => '?').join(', ')})`

/**
 * Inserts all rows, or none if it fails.
 * @param now milliseconds since 1970
 */
export function insertMessages(messages: StoredMessage[], now: number): Statement {
  return {
    sql: INSERT + messages.map(() => ROW).join(', '),
    bindings: messages.flatMap((message) => toRow(message, message.body, now)),
  }
}

/**
 * Inserts one message of any size. Call it within a transaction.
 * @param piece the length of the pieces in which it writes the body, in UTF-16 units
 */
export async function insertInPieces(
  trx: Knex,
  message: StoredMessage,
  now: number,
  piece: number,
): Promise<void> {
  const pieces = split(message.body, piece)
  await trx.raw(INSERT + ROW, toRow(message, pieces[0]!, now)).timeout(QUERY_TIMEOUT_MS)
  const { recipient, messageId } = message
  const append = isMysql(trx) ? 'concat(body, ?)' : 'body || ?'
  for (const piece of pieces.slice(1)) {
    await trx('messages')
      .where({ recipient, message_id: bytes(trx, messageId) })
      .update({ body: trx.raw(append, [piece]) })
      .timeout(QUERY_TIMEOUT_MS)
  }
}

/** The values of `COLUMNS`. */
function toRow(message: StoredMessage, body: string, now: number): Array<string | number> {
  const { recipient, messageBox, messageId, sender } = message
  const bytes = Buffer.byteLength(message.body)
  return [recipient, messageBox, messageId, sender, body, bytes, now, now]
}

/** The stored messages with any of these (recipient, id) pairs, without bodies. */
export async function findByIds(
  db: Knex,
  messages: MessageName[],
): Promise<Array<Omit<StoredMessage, 'body'> & { createdAt: number }>> {
  const rows = await db('messages')
    .select('recipient', 'message_box', 'message_id', 'sender', 'created_at')
    .where(named(db, messages))
    .limit(messages.length)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map((row) => ({
    recipient: row.recipient,
    messageBox: text(row.message_box),
    messageId: text(row.message_id),
    sender: row.sender,
    createdAt: Number(row.created_at),
  }))
}

/** SQLite works in this thread: after so many rows of a page, it does other work. */
const TURN_ROWS = 100

/**
 * A page of a box in order of arrival: at most `limit` rows, and as many as fit into `maxBytes` of
 * bodies, but at least one. `more` tells whether the box has messages after them.
 */
export async function selectPage(
  db: Knex,
  recipient: IdentityKey,
  request: PageRequest,
  maxBytes: number,
): Promise<{ rows: MessageRow[]; more: boolean }> {
  if (isMysql(db)) return await selectPart(db, recipient, request, maxBytes)
  const rows: MessageRow[] = []
  for (let next = request, bytes = maxBytes; ;) {
    const limit = Math.min(TURN_ROWS, request.limit - rows.length)
    const part = await selectPart(db, recipient, { ...next, limit }, bytes)
    // Each part has at least one row, but only the first part may exceed the maximum with it.
    if (rows.length > 0 && Number(part.rows[0]?.total ?? 0) > bytes) return { rows, more: true }
    rows.push(...part.rows)
    bytes -= Number(part.rows.at(-1)?.total ?? 0)
    if (part.rows.length < limit || !part.more || rows.length === request.limit || bytes <= 0)
      return { rows, more: part.more }
    next = { ...request, offset: 0, after: Number(rows.at(-1)!.id) }
    await new Promise(setImmediate)
  }
}

/** As `selectPage`, in one statement. */
async function selectPart(
  db: Knex,
  recipient: IdentityKey,
  request: PageRequest,
  maxBytes: number,
): Promise<{ rows: PartRow[]; more: boolean }> {
  const { messageBox, messageId, limit, offset, after } = request
  const andMessageId = messageId === undefined ? '' : ' and message_id = ?'
  const andAfter = after === undefined ? '' : ' and id > ?'
  // In the middle of a large box, MySQL would read the index of the box from its beginning.
  const isForced = isMysql(db) && after !== undefined && messageId === undefined
  const index = isForced ? ' force index (messages_box)' : ''
  // As a string, the driver would decode a body that is only copied to the answer.
  const body = isMysql(db) ? 'convert(m.body using binary) as body' : 'm.body'
  // The index of the box covers everything but the last join: no body beyond the page is read.
  const result = await execute(db, {
    sql: `select m.id, m.message_id, m.sender, ${body}, m.created_at, m.updated_at,
            page.total, page.found
       from (select id, body_bytes, sum(body_bytes) over (order by id) as total,
                    count(*) over () as found
               from (select id, body_bytes from messages${index}
                      where recipient = ? and message_box = ?${andMessageId}${andAfter}
                      order by id limit ? offset ?) box) page
       join messages m on m.id = page.id
      where page.total <= ? or page.total = page.body_bytes
      order by page.id limit ?`,
    bindings: [
      recipient,
      bytes(db, messageBox),
      ...(messageId === undefined ? [] : [bytes(db, messageId)]),
      ...(after === undefined ? [] : [after]),
      limit + 1,
      offset,
      maxBytes,
      limit,
    ],
  })
  const rows = result as unknown as PartRow[]
  return { rows, more: rows.length > 0 && rows.length < Number(rows[0]!.found) }
}

/** With the bytes of bodies up to this row, and how many rows were found. */
type PartRow = MessageRow & { total: number; found: number }

/** @returns how many rows it has deleted */
export async function deleteMessages(db: Knex, names: MessageName[]): Promise<number> {
  if (names.length === 0) return 0
  return await db('messages').where(named(db, names)).delete().timeout(QUERY_TIMEOUT_MS)
}

/** Selects the existing messages and locks them until the transaction ends. */
export function lockMessages(db: Knex, names: MessageName[]): Statement {
  const query = db('messages')
    .select('id', 'recipient', 'message_id', 'sender', 'body_bytes')
    .where(named(db, names))
  // SQLite runs one writing transaction at a time.
  return (isMysql(db) ? query.forUpdate() : query).toSQL().toNative()
}

/** The result of `lockMessages`. */
export function toLocked(
  rows: Rows,
): Array<MessageName & { id: number; sender: IdentityKey; bytes: number }> {
  return (rows as unknown as LockedRow[]).map(
    ({ id, recipient, message_id: messageId, sender, body_bytes: bytes }) => {
      return { id, recipient, messageId: text(messageId), sender, bytes }
    },
  )
}

interface LockedRow {
  id: number
  recipient: string
  message_id: string | Buffer
  sender: string
  body_bytes: number
}

export function deleteByIds(db: Knex, ids: number[]): Statement {
  return db('messages').whereIn('id', ids).delete().toSQL().toNative()
}

/** The oldest messages of all recipients whose row id is greater than `after`. */
export async function selectOldest(
  db: Knex,
  after: number,
  limit: number,
): Promise<Array<MessageName & { id: number; createdAt: number }>> {
  const rows = await db('messages')
    .select('id', 'recipient', 'message_id', 'created_at')
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map((row) => ({
    id: row.id,
    recipient: row.recipient,
    messageId: text(row.message_id),
    createdAt: Number(row.created_at),
  }))
}

/** Matches these messages. Grouped by recipient, because MariaDB uses no index for pairs. */
function named(db: Knex, names: MessageName[]): (query: Knex.QueryBuilder) => void {
  const idsOf = new Map<IdentityKey, Array<string | Buffer>>()
  for (const { recipient, messageId } of names) {
    const ids = idsOf.get(recipient)
    if (ids === undefined) idsOf.set(recipient, [bytes(db, messageId)])
    else ids.push(bytes(db, messageId))
  }
  return (query) => {
    for (const [recipient, ids] of idsOf)
      void query.orWhere({ recipient }).whereIn('message_id', ids as never)
  }
}

/** Cuts a text into pieces of about `size` characters, but not within a surrogate pair. */
function split(value: string, size: number): string[] {
  const pieces: string[] = []
  for (let start = 0; start < value.length;) {
    let end = Math.min(start + size, value.length)
    if (end < value.length && /[\uD800-\uDBFF]/.test(value[end - 1]!)) end--
    pieces.push(value.slice(start, end))
    start = end
  }
  return pieces
}
