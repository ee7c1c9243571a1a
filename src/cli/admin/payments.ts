import { createPaymentStore, type UnsettledPayment } from '../../db/payments'
import { printable } from '../wording'
import { withDatabase, type Outcome } from './command'

const MAX_SHOWN = 1000

/** Lists payments that are claimed for a message, or not yet in the server's wallet. */
export async function payments(): Promise<Outcome> {
  return await withDatabase(async ({ knex, name }) => {
    const found = await createPaymentStore(knex).unsettled(MAX_SHOWN)
    const head =
      found.length === 0
        ? 'every payment is settled'
        : 'payments that are not settled: ' +
          (found.length === MAX_SHOWN ? `the ${MAX_SHOWN} oldest` : String(found.length))
    return {
      json: {
        database: name,
        payments: found.map((payment) => ({
          ...payment,
          createdAt: new Date(payment.createdAt).toISOString(),
          dueAt: new Date(payment.dueAt).toISOString(),
        })),
      },
      text: [`${name}: ${head}`, ...found.map(describe)].join('\n'),
    }
  })
}

function describe({
  txid,
  sender,
  state,
  attempts,
  fault,
  createdAt,
  dueAt,
}: UnsettledPayment): string {
  const due = new Date(dueAt).toISOString()
  const reason = fault === null ? '' : `: ${printable(fault)}`
  const how =
    state === 'claimed'
      ? `claimed until ${due}, then free again`
      : `stored, not in the wallet after ${attempts} attempts, next at ${due}${reason}`
  return `${txid} from ${sender} at ${new Date(createdAt).toISOString()}: ${how}`
}
