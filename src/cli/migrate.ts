import dotenv from 'dotenv'
import { parseConfig, readEnv } from '../config'
import { createKnex } from '../db/knex'
import { migrate } from '../db/migrate'
import { explainFailure } from './failure'

/** Brings the configured database's schema up to date, as a start of the server does. */
async function main (): Promise<void> {
  dotenv.config({ quiet: true })
  const { db } = parseConfig(readEnv(process.env))
  const knex = createKnex(db)
  try {
    const [batch, names] = await migrate(knex, db)
    process.stdout.write(names.length === 0 ? 'The schema is up to date.\n' : `Batch ${batch}: ${names.join(', ')}\n`)
  } finally {
    await knex.destroy()
  }
}

main().catch(explainFailure)
