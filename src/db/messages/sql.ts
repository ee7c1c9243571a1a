/** The SQL of the message table: one operation a function, on the connection it is given. */
import type { Knex } from 'knex'
import type { IdentityKey, ListRequest } from '../../contract/protocol'
import { bytes, isMysql, QUERY_TIMEOUT_MS, text } from '../engine/dialect'
import type { Rows, Statement } from '../engine/transaction'

/** A message as it is stored. `body` is what /listMessages returns. */
export interface StoredMessage {
  recipient: IdentityKey
  messageBox: string
  messageId: string
  sender: IdentityKey
  body: string
}

/** What names a message: the recipient and the id together. */
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
  body: string
  created_at: number
  updated_at: number
}

/**
 * Inserts rows in one statement; when it fails, for a duplicate key say, none of them is there.
 * @param now milliseconds since 1970
 */
export function insertMessages(
  db: Knex,
  messages: StoredMessage[],
  now: number,
): Knex.QueryBuilder {
  return db('messages').insert(messages.map((message) => toRow(message, message.body, now)))
}

/**
 * Inserts one message of any size; to be called within a transaction.
 * @param piece how long the pieces are in which the body is written, in UTF-16 units
 */
export async function insertInPieces(
  trx: Knex,
  message: StoredMessage,
  now: number,
  piece: number,
): Promise<void> {
  const pieces = split(message.body, piece)
  await trx('messages')
    .insert(toRow(message, pieces[0]!, now))
    .timeout(QUERY_TIMEOUT_MS)
  const { recipient, messageId } = message
  const append = isMysql(trx) ? 'concat(body, ?)' : 'body || ?'
  for (const piece of pieces.slice(1)) {
    await trx('messages')
      .where({ recipient, message_id: bytes(trx, messageId) })
      .update({ body: trx.raw(append, [piece]) })
      .timeout(QUERY_TIMEOUT_MS)
  }
}

function toRow(message: StoredMessage, body: string, now: number): Record<string, unknown> {
  return {
    recipient: message.recipient,
    message_box: message.messageBox,
    message_id: message.messageId,
    sender: message.sender,
    body,
    body_bytes: Buffer.byteLength(message.body),
    created_at: now,
    updated_at: now,
  }
}

/** Who sent what holds an id: the rows that stand under any of these (recipient, id) pairs. */
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

/**
 * A page of a box in order of arrival: at most `limit` rows, and as many as fit `maxBytes` of bodies, but one
 * at least. `more` tells whether anything comes behind them.
 */
export async function selectPage(
  db: Knex,
  recipient: IdentityKey,
  request: ListRequest,
  maxBytes: number,
): Promise<{ rows: MessageRow[]; more: boolean }> {
  const { messageBox, messageId, limit, offset } = request
  // The index of the box holds everything but the last join, so bodies beyond the page are never touched.
  const result = await db
    .raw(
      `select m.message_id, m.sender, m.body, m.created_at, m.updated_at, page.found
       from (select id, body_bytes, sum(body_bytes) over (order by id) as total, count(*) over () as found
               from (select id, body_bytes from messages
                      where recipient = ? and message_box = ?${messageId === undefined ? '' : ' and message_id = ?'} order by id limit ? offset ?) box) page
       join messages m on m.id = page.id
      where page.total <= ? or page.total = page.body_bytes
      order by page.id limit ?`,
      [
        recipient,
        bytes(db, messageBox),
        ...(messageId === undefined ? [] : [bytes(db, messageId)]),
        limit + 1,
        offset,
        maxBytes,
        limit,
      ],
    )
    .timeout(QUERY_TIMEOUT_MS)
  const rows = (isMysql(db) ? result[0] : result) as Array<MessageRow & { found: number }>
  return { rows, more: rows.length > 0 && rows.length < Number(rows[0]!.found) }
}

/** @returns how many rows are gone */
export async function deleteMessages(db: Knex, names: MessageName[]): Promise<number> {
  if (names.length === 0) return 0
  return await db('messages').where(named(db, names)).delete().timeout(QUERY_TIMEOUT_MS)
}

/** Selects those of these messages that are there, and locks them until the transaction ends. */
export function lockMessages(db: Knex, names: MessageName[]): Statement {
  const query = db('messages')
    .select('id', 'recipient', 'message_id', 'sender', 'body_bytes')
    .where(named(db, names))
  // SQLite's transactions have the database to themselves.
  return (isMysql(db) ? query.forUpdate() : query).toSQL().toNative()
}

/** What `lockMessages` found. */
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

/** The messages that arrived first, of all recipients, behind an id of the table. */
export async function selectOldest(
  db: Knex,
  behind: number,
  limit: number,
): Promise<Array<MessageName & { id: number; createdAt: number }>> {
  const rows = await db('messages')
    .select('id', 'recipient', 'message_id', 'created_at')
    .where('id', '>', behind)
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

/** The condition of being one of these messages: by recipient, since MariaDB finds single pairs in no index. */
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

/** Cuts a text into pieces of about `size` characters, never between the halves of a surrogate pair. */
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
