import { formatBytes, formatNumber } from '../../lib/format'
import { selectBoxes } from '../../db/maintenance/inspection'
import type { IdentityKey } from '../../contract/protocol'
import { count, printable, quoted, table, time } from '../wording'
import { withDatabase, type Outcome } from './command'

/** A recipient's boxes that hold messages. */
export async function boxes(
  recipient: IdentityKey,
  { limit, after = '' }: { limit: number; after?: string },
): Promise<Outcome> {
  return await withDatabase(async ({ knex }) => {
    const found = await selectBoxes(knex, recipient, after, limit + 1)
    const shown = found
      .slice(0, limit)
      .map((box) => ({ ...box, oldest: time(box.oldest), newest: time(box.newest) }))
    const next = found.length > limit ? shown.at(-1)!.messageBox : null
    const rows = shown.map(({ messageBox, messages, bytes, oldest, newest }) => [
      printable(messageBox),
      formatNumber(messages),
      formatBytes(bytes),
      oldest ?? '-',
      newest ?? '-',
    ])
    const boxes = `${count(shown.length, 'box that holds', 'boxes that hold')} messages`
    return {
      json: { recipient, boxes: shown, next },
      text: [
        `${recipient} has ${next === null ? boxes : `more than ${boxes}: ${goOn(next)}`}`,
        ...(rows.length === 0
          ? []
          : [table([['BOX', 'MESSAGES', 'BODIES', 'OLDEST', 'NEWEST'], ...rows])]),
      ].join('\n'),
    }
  })
}

function goOn(box: string): string {
  const word = quoted(box)
  return word === undefined
    ? 'the name of the last box is not printable; --json shows it in "next"'
    : `continue with --after ${word}`
}
