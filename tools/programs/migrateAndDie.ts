/** For a process of its own: migrates, and kills itself as soon as so many statements have been carried out. */
import { parseConfig, readEnv } from '../../src/config'
import { createKnex } from '../../src/db/engine/knex'
import { migrate } from '../../src/db/engine/migrate'

const { db } = parseConfig(readEnv(process.env))
const knex = createKnex(db)
let left = Number(process.argv[2])
knex.on('query-response', () => {
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
})
// Its lease runs out soon, so that the next start need not wait for long.
void migrate(knex, db, undefined, 500).then(async () => {
  await knex.destroy()
})
