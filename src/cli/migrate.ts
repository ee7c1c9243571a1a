import dotenv from 'dotenv'
import { parseConfig, readEnv } from '../config'
import { createKnex } from '../db/knex'
import { migrate, settleUsage } from '../db/migrate'
import { describeDatabase } from './describe'
import { explainFailure } from './failure'

/** Brings the configured database's schema up to date, as a start of the server does. */
async function main (): Promise<void> {
  dotenv.config({ quiet: true })
  const { db, mailbox } = parseConfig(readEnv(process.env))
  const knex = createKnex(db)
  try {
    const [, names] = await migrate(knex, db)
    await settleUsage(knex, db, mailbox.quotas)
    process.stdout.write(`${describeDatabase(db)}: ${names.length === 0 ? 'the schema is up to date' : `the schema was brought up to date (${names.join(', ')})`}\n`)
  } finally {
    await knex.destroy()
  }
}

main().catch(explainFailure)
