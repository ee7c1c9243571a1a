import type Database from 'better-sqlite3'
import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { codeOf } from '../../db/engine/faults'
import { sqliteDriver } from '../../db/engine/sqliteDriver'
import { describeDatabase } from '../wording'
import { describeFailure } from '../failure'
import { checkSchema } from './schema'
import type { Report } from './finding'
import type { Subject } from './check'

/** How long to wait for another program that writes. */
const BUSY_TIMEOUT_MS = 1000

export async function checkSqlite(subject: Subject, report: Report): Promise<void> {
  const { db } = subject.config
  const file = resolve(String(db.connection.filename))
  const name = describeDatabase(db)
  const folder = nearest(dirname(file))
  if (!mayWrite(folder)) {
    report.problem(
      'not-writable',
      `${name}: this user may not write to the folder ${folder}, where SQLite makes files.`,
      'Give the folder to the user that the server runs as, or run the doctor as that user.',
    )
  }
  if (!existsSync(file)) return await checkSchema(undefined, subject, report)
  if (!mayWrite(file))
    report.problem(
      'not-writable',
      `${name}: this user may not write to the file.`,
      'Give it to the user that the server runs as, or run the doctor as that user.',
    )
  try {
    const done = readMigrations(file)
    report.ok('database', `${name} can be opened.`)
    await checkSchema(done, subject, report)
    if (mayWrite(file) && mayWrite(folder)) tryToWrite(file)
  } catch (error) {
    report.problem(
      'database',
      `${name}: ${describeFailure(error)}`,
      'Correct KNEX_DB_CONNECTION, or restore the file from a backup.',
    )
  }
}

/** The folder, or its nearest parent that exists. */
function nearest(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearest(dirname(folder))
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** @returns undefined if the table of migrations is missing */
function readMigrations(file: string): string[] | undefined {
  return read(file, (database) => {
    const table = database
      .prepare("select 1 from sqlite_master where type = 'table' and name = 'knex_migrations'")
      .get()
    return table === undefined
      ? undefined
      : (
          database.prepare('select name from knex_migrations order by id').all() as Array<{
            name: string
          }>
        ).map(({ name }) => name)
  })
}

/** Whether any recipient charges for a box. */
export function hasPricesOnSqlite(file: string): boolean {
  return read(
    file,
    (database) =>
      database.prepare('select 1 from permissions where recipient_fee > 0 limit 1').get() !==
      undefined,
  )
}

function read<T>(file: string, work: (database: Database.Database) => T): T {
  const database = new (sqliteDriver())(file, { readonly: true, fileMustExist: true })
  try {
    return work(database)
  } finally {
    database.close()
  }
}

function tryToWrite(file: string): void {
  const database = new (sqliteDriver())(file, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
  try {
    database.exec('begin immediate')
    database.exec('rollback')
  } catch (error) {
    // Another program writes, so the file is writable.
    if (!codeOf(error).startsWith('SQLITE_BUSY')) throw error
  } finally {
    database.close()
  }
}
