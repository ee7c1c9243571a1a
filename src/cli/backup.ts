import { closeSync, existsSync, fdatasyncSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { sqliteDriver } from '../db/engine/sqliteDriver'
import { describeDatabase } from './wording'
import { readConfig } from './environment'
import { explainFailure, UsageError } from './failure'

/** How many pages are copied before the disk has to take them: the server's commits wait for it. */
const STEP_PAGES = 256

/** Copies the SQLite database to a file: `npm run backup -- TARGET`. The server may run. */
async function main(target: string | undefined): Promise<void> {
  const { db } = readConfig()
  if (db.client !== 'better-sqlite3')
    throw new UsageError(
      'The configured database is MySQL: back it up with mysqldump, as DEPLOYING.md shows.',
    )
  if (target === undefined) throw new UsageError('Name the target: npm run backup -- TARGET')
  const source = resolve(String(db.connection.filename))
  if (!existsSync(source))
    throw new UsageError(
      `There is no database at ${source}: run this on the server's machine, ` +
        'with its environment.',
    )
  if (!existsSync(dirname(resolve(target))))
    throw new UsageError(`There is no folder ${dirname(resolve(target))} to copy to.`)
  if (resolve(target) === source) throw new UsageError('The backup needs a file of its own.')
  const Database = sqliteDriver()
  const database = new Database(source, { fileMustExist: true })
  try {
    // In a transaction it copies one state. Otherwise each write of the server starts it again.
    database.exec('begin; select 1 from sqlite_schema')
    const file = openSync(target, 'a')
    try {
      await database.backup(target, {
        progress() {
          fdatasyncSync(file)
          return STEP_PAGES
        },
      })
    } finally {
      closeSync(file)
    }
  } finally {
    database.close()
  }
  const copy = new Database(target, { readonly: true })
  const { count } = copy.prepare('select count(*) as count from messages').get() as {
    count: number
  }
  copy.close()
  process.stdout.write(`${describeDatabase(db)}: ${count} messages, copied to ${target}\n`)
}

main(process.argv[2]).catch(explainFailure)
