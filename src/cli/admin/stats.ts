import { formatBytes, formatNumber } from '../../lib/format'
import { countOthers, readSpan, readTotals } from '../../db/maintenance/inspection'
import { table, time } from '../wording'
import { withDatabase, type Outcome } from './command'

export async function stats({ exact = false }: { exact?: boolean }): Promise<Outcome> {
  return await withDatabase(async ({ knex, name }) => {
    const [totals, span, { rules, devices, payments }] = [
      await readTotals(knex, exact),
      await readSpan(knex),
      await countOthers(knex),
    ]
    const json = {
      database: name,
      ...totals,
      oldest: time(span.oldest),
      newest: time(span.newest),
      rules,
      devices,
      payments,
    }
    const number = (value: number | null): string =>
      value === null ? 'not counted, it would take long: use --exact' : formatNumber(value)
    const rows = [
      ['messages', number(totals.messages)],
      ['bodies', totals.bytes === null ? number(null) : formatBytes(totals.bytes)],
      ['boxes', number(totals.boxes)],
      ['recipients', number(totals.recipients)],
      ['senders', number(totals.senders)],
      ['oldest', json.oldest ?? 'none'],
      ['newest', json.newest ?? 'none'],
      ['rules', number(rules)],
      ['devices', number(devices)],
      [
        'payments',
        `${number(payments.claimed)} claimed, ${number(payments.stored)} not yet in the wallet, ` +
          `${number(payments.settled)} settled`,
      ],
    ]
    const source =
      totals.source === 'quotas'
        ? 'messages, bodies, recipients and senders as the quotas count them'
        : 'counted from the messages'
    return { json, text: `${name} (${source})\n${table(rows)}` }
  })
}
