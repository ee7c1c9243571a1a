import { formatBytes } from '../../lib/format'
import { selectHeaders } from '../../db/maintenance/inspection'
import type { IdentityKey } from '../../contract/protocol'
import { count, printable, table, time } from '../wording'
import { withDatabase, type Outcome } from './command'

/** The messages of a box without their bodies, in order of arrival. */
export async function messages(
  recipient: IdentityKey,
  messageBox: string,
  { limit, after = 0 }: { limit: number; after?: number },
): Promise<Outcome> {
  return await withDatabase(async ({ knex }) => {
    const found = await selectHeaders(knex, recipient, messageBox, after, limit + 1)
    const page = found.slice(0, limit)
    const next = found.length > limit ? page.at(-1)!.id : null
    const shown = page.map(({ messageId, sender, bytes, createdAt }) => ({
      messageId,
      sender,
      bytes,
      createdAt: time(createdAt)!,
    }))
    const rows = shown.map(({ messageId, sender, bytes, createdAt }) => [
      createdAt,
      sender,
      formatBytes(bytes),
      printable(messageId),
    ])
    return {
      json: { recipient, messageBox, messages: shown, next },
      text: [
        count(shown.length, 'message') +
          (next === null ? '' : `, and there are more: continue with --after ${next}`),
        ...(rows.length === 0 ? [] : [table([['STORED', 'SENDER', 'BODY', 'ID'], ...rows])]),
      ].join('\n'),
    }
  })
}
