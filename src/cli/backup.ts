import { closeSync, existsSync, fdatasyncSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Database } from 'better-sqlite3'
import { sqliteDriver } from '../db/engine/sqliteDriver'
import { describeDatabase } from './wording'
import { readConfig } from './environment'
import { explainFailure, UsageError } from './failure'

/** The server's commits wait while the disk takes what was copied: a few pages at once. */
const STEP_PAGES = 64
/** The time for the server between two steps. */
const STEP_PAUSE_MS = 5

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
  await copyInSteps(new Database(source, { fileMustExist: true }), target)
  const copy = new Database(target, { readonly: true })
  const { count } = copy.prepare('select count(*) as count from messages').get() as {
    count: number
  }
  copy.close()
  process.stdout.write(`${describeDatabase(db)}: ${count} messages, copied to ${target}\n`)
}

/** Closes the source at the end. */
async function copyInSteps(source: Database, target: string): Promise<void> {
  const file = openSync(target, 'a')
  const timer = new Int32Array(new SharedArrayBuffer(4))
  try {
    // In a transaction it copies one state. Otherwise each write of the server starts it again.
    source.exec('begin; select 1 from sqlite_schema')
    await source.backup(target, {
      progress() {
        fdatasyncSync(file)
        Atomics.wait(timer, 0, 0, STEP_PAUSE_MS)
        return STEP_PAGES
      },
    })
  } finally {
    closeSync(file)
    source.close()
  }
}

main(process.argv[2]).catch(explainFailure)
