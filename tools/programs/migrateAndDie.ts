/** Program: migrates and kills itself after a number of statements. */
import { parseConfig, readEnv } from '../../src/config'
import { createKnex } from '../../src/db/engine/knex'
import { migrate } from '../../src/db/engine/migrate'

const { db } = parseConfig(readEnv(process.env))
const knex = createKnex(db)
let left = Number(process.argv[2])
knex.on('query-response', () => {
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
})
// The lease is short, so that the next start does not wait for long.
void migrate(knex, db, undefined, 500).then(async () => {
  await knex.destroy()
})
