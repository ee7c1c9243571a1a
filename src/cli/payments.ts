import dotenv from 'dotenv'
import { parseConfig, readEnv } from '../config'
import { createKnex } from '../db/knex'
import { findUnsettled, type UnsettledPayment } from '../db/payments'
import { describeDatabase } from './describe'
import { explainFailure } from './failure'

const MOST = 1000

/** Shows the payments that are not done with: claimed for a message that is not stored, or not yet in the server's wallet. */
async function main (): Promise<void> {
  dotenv.config({ quiet: true })
  const { db } = parseConfig(readEnv(process.env))
  const knex = createKnex(db)
  try {
    const payments = await findUnsettled(knex, MOST)
    const head = payments.length === 0 ? 'every payment is settled' : `payments that are not settled: ${payments.length === MOST ? `the ${MOST} oldest` : payments.length}`
    process.stdout.write([`${describeDatabase(db)}: ${head}`, ...payments.map(describe), ''].join('\n'))
  } finally {
    await knex.destroy()
  }
}

function describe ({ txid, sender, state, attempts, fault, createdAt, dueAt }: UnsettledPayment): string {
  const how = state === 'claimed'
    ? `claimed until ${new Date(dueAt).toISOString()}, then free again`
    : `stored, not in the wallet after ${attempts} attempts, next at ${new Date(dueAt).toISOString()}${fault === null ? '' : `: ${fault}`}`
  return `${txid} from ${sender} at ${new Date(createdAt).toISOString()}: ${how}`
}

main().catch(explainFailure)
