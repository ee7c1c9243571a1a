/** A page of a box, as JSON. */
import type { Knex } from 'knex'
import { JsonPage } from '../../contract/jsonPage'
import type { IdentityKey, MessagePage } from '../../contract/protocol'
import { isoTime } from '../../lib/isoTime'
import { selectPage, type MessageRow, type PageRequest } from './sql'

/** `nextAfter` is the row id of its last message, null if there is no next page. */
export type StoredPage = Omit<MessagePage, 'nextCursor'> & { nextAfter: number | null }

/** @param maxPageBytes how large the JSON may be, unless a single message is larger */
export async function readPage(
  knex: Knex,
  recipient: IdentityKey,
  request: PageRequest,
  maxPageBytes: number,
): Promise<StoredPage> {
  const { rows, more } = await selectPage(knex, recipient, request, maxPageBytes)
  const { limit, offset } = request
  const json = await fill(rows, maxPageBytes)
  const hasMore = more || json.count < rows.length
  const nextOffset = hasMore ? offset + json.count : null
  const nextAfter = hasMore ? Number(rows[json.count - 1]!.id) : null
  return { json, limit, offset, hasMore, nextOffset, nextAfter }
}

/** How many messages are written before other requests get their turn. */
const TURN_MESSAGES = 100

/** As many messages as fit, but at least one. */
async function fill(rows: MessageRow[], maxBytes: number): Promise<JsonPage> {
  const expected = rows.reduce((sum, row) => sum + row.message_id.length + row.body.length, 0)
  const json = new JsonPage(maxBytes, expected, rows.length)
  for (const { message_id: id, sender, body, created_at: created, updated_at: updated } of rows) {
    if (json.count > 0 && json.count % TURN_MESSAGES === 0) await new Promise(setImmediate)
    const createdAt = isoTime(created)
    const fits = json.add({
      messageId: toBytes(id),
      sender,
      body: toBytes(body),
      createdAt,
      updatedAt: created === updated ? createdAt : isoTime(updated),
    })
    if (!fits) break
  }
  return json
}

function toBytes(value: string | Buffer): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value
}
