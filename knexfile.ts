import dotenv from 'dotenv'
import type { Knex } from 'knex'
import { migrationSource } from './migrations'
import { parseConfig, readEnv } from './src/config'

/** For Knex's command line only: the server's settings as Knex's options. */
dotenv.config({ quiet: true })
const { db } = parseConfig(readEnv(process.env))

const options: Knex.Config = {
  client: db.client,
  connection: db.connection,
  useNullAsDefault: true,
  migrations: { migrationSource },
}
export default options
