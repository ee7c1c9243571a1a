/** A page of a box, and its JSON. */
import type { Knex } from 'knex'
import type { IdentityKey, ListedMessage, MessagePage } from '../../contract/protocol'
import { isoTime } from '../../lib/isoTime'
import { JsonPage } from '../../contract/jsonPage'
import { text } from '../engine/dialect'
import { selectPage, type MessageRow, type PageRequest } from './sql'

/** `nextAfter` is the row id of its last message, null if there is no next page. */
export type StoredPage = Omit<MessagePage, 'nextCursor'> & { nextAfter: number | null }

/** What the JSON of a message has beside its id and its body. */
const MESSAGE_FRAME_BYTES = 512
/** JSON writes a control character in 6 bytes, as in \u0000. */
const MAX_BYTES_PER_CHARACTER = 6

/** @param maxPageBytes how large the JSON may be, unless a single message is larger */
export async function readPage(
  knex: Knex,
  recipient: IdentityKey,
  request: PageRequest,
  maxPageBytes: number,
): Promise<StoredPage> {
  const { rows, more } = await selectPage(knex, recipient, request, maxPageBytes)
  const { limit, offset } = request
  const { messages, json } = fill(rows, maxPageBytes)
  const hasMore = more || messages.length < rows.length
  const nextOffset = hasMore ? offset + messages.length : null
  const nextAfter = hasMore ? Number(rows[messages.length - 1]!.id) : null
  return { messages, json, limit, offset, hasMore, nextOffset, nextAfter }
}

/** The most bytes that a message can take in a page, whatever characters it contains. */
export function maxListedBytes(messageId: string, body: string): number {
  return MESSAGE_FRAME_BYTES + MAX_BYTES_PER_CHARACTER * (messageId.length + body.length)
}

/** As many messages as fit, but at least one. */
function fill(rows: MessageRow[], maxBytes: number): Pick<MessagePage, 'messages' | 'json'> {
  const messages = rows.map(toListedMessage)
  const maxBytesOfAll = messages.reduce(
    (sum, { messageId, body }) => sum + maxListedBytes(messageId, body),
    0,
  )
  if (maxBytesOfAll <= maxBytes) {
    const json = new JsonPage(maxBytes)
    json.add(JSON.stringify(messages).slice(1, -1))
    return { messages, json }
  }
  const json = new JsonPage(maxBytes, maxBytes)
  const beyond = messages.findIndex((message) => !json.add(JSON.stringify(message)))
  return { messages: beyond < 0 ? messages : messages.slice(0, beyond), json }
}

function toListedMessage({
  message_id: id,
  sender,
  body,
  created_at: created,
  updated_at: updated,
}: MessageRow): ListedMessage {
  const createdAt = isoTime(created)
  const updatedAt = created === updated ? createdAt : isoTime(updated)
  return {
    messageId: text(id),
    body,
    sender,
    created_at: createdAt,
    updated_at: updatedAt,
    createdAt,
    updatedAt,
  }
}
