/** Messages to send, and existing messages, which SQL writes outside of the measurements. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Knex } from 'knex'

/** Rows in a statement, within the limits of SQLite and of MySQL's packets. */
const CHUNK = 500
const CHUNK_BYTES = 1024 * 1024

/** A body as the released client encrypts it, of about this many characters. */
export function encryptedBody(length: number): string {
  const cipher = randomBytes(Math.ceil((length * 3) / 4)).toString('base64')
  return JSON.stringify({
    encryptedMessage: cipher.slice(0, Math.max(1, length - '{"encryptedMessage":""}'.length)),
  })
}

/**
 * Inserts messages into a box.
 * @returns their ids
 */
export async function fillBox(
  knex: Knex,
  recipient: string,
  box: string,
  count: number,
  bodyLength: number,
): Promise<string[]> {
  const body = encryptedBody(bodyLength)
  const ids = Array.from({ length: count }, () => randomUUID())
  await insert(
    knex,
    ids.map((id) => ({ recipient, box, id, body })),
  )
  return ids
}

/** Inserts a message into a box for each of `recipients`, which may have duplicates. */
export async function fillEach(
  knex: Knex,
  recipients: string[],
  box: string,
  bodyLength: number,
): Promise<string[]> {
  const body = encryptedBody(bodyLength)
  const rows = recipients.map((recipient) => ({ recipient, box, id: randomUUID(), body }))
  await insert(knex, rows)
  return rows.map(({ id }) => id)
}

async function insert(
  knex: Knex,
  messages: Array<{ recipient: string; box: string; id: string; body: string }>,
): Promise<void> {
  const chunk = Math.max(
    1,
    Math.min(CHUNK, Math.floor(CHUNK_BYTES / (messages[0]?.body.length ?? 1))),
  )
  const now = Date.now()
  for (let start = 0; start < messages.length; start += chunk) {
    await knex('messages').insert(
      messages.slice(start, start + chunk).map(({ recipient, box, id, body }) => ({
        recipient,
        message_box: box,
        message_id: id,
        sender: recipient,
        body,
        body_bytes: body.length,
        created_at: now,
        updated_at: now,
      })),
    )
  }
}
