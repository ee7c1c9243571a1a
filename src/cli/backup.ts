import Database from 'better-sqlite3'
import dotenv from 'dotenv'
import { parseConfig, readEnv } from '../config'
import { describeDatabase } from './describe'
import { explainFailure } from './failure'

/** Copies the configured SQLite database to a file, while the server may run: `npm run backup -- TARGET`. */
async function main (target: string | undefined): Promise<void> {
  dotenv.config({ quiet: true })
  const { db } = parseConfig(readEnv(process.env))
  if (db.client !== 'better-sqlite3') throw new Error('The configured database is MySQL: back it up with mysqldump, as DEPLOYING.md shows.')
  if (target === undefined) throw new Error('Say where to: npm run backup -- TARGET')
  const database = new Database(String(db.connection.filename), { fileMustExist: true })
  try {
    await database.backup(target)
  } finally {
    database.close()
  }
  const copy = new Database(target, { readonly: true })
  const { count } = copy.prepare('select count(*) as count from messages').get() as { count: number }
  copy.close()
  process.stdout.write(`${describeDatabase(db)}: ${count} messages, copied to ${target}\n`)
}

main(process.argv[2]).catch(explainFailure)
