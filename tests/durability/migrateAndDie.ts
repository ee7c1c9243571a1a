/** For a process of its own: migrates, and kills itself as soon as so many statements have been carried out. */
import { parseConfig, readEnv } from '../../src/config'
import { createKnex } from '../../src/db/knex'
import { migrate } from '../../src/db/migrate'

const { db } = parseConfig(readEnv(process.env))
const knex = createKnex(db)
let left = Number(process.argv[2])
knex.on('query-response', () => {
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
})
void migrate(knex, db).then(async () => { await knex.destroy() })
