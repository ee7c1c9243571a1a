import { compareSchema } from '../../db/migrate'
import type { Check, Patient } from './index'
import type { Report } from './finding'
import { checkMysql } from './mysql'
import { checkSqlite } from './sqlite'

/** Whether the database is there, takes writes, keeps what it is given, and has this server's schema. */
export const checkDatabase: Check = async (patient, report) => {
  if (patient.broken.has('KNEX_DB_CONNECTION')) {
    report.warning('not-checked', 'The database was not looked at, since its settings cannot be used.', 'Correct them first.')
  } else if (patient.config.db.client === 'mysql2') {
    await checkMysql(patient, report)
  } else {
    await checkSqlite(patient, report)
  }
}

/** @param done the names of the migrations that have run; undefined where there is no table of them */
export async function checkSchema (done: string[] | undefined, { config }: Patient, report: Report): Promise<void> {
  const { missing, unknown } = await compareSchema(done ?? [])
  const how = config.migrate.onStart ? 'Start the server, which does it, or run "migrate".' : 'Run "migrate": with MIGRATE_ON_START=false a start of the server does not do it.'
  if (unknown.length > 0) {
    report.problem('schema-newer', `The schema is newer than this server: ${unknown.join(', ')}.`, 'Run the newer version of the server, or restore the backup that was made before the upgrade. Migrations go forward only.')
  } else if (missing.length > 0) {
    report.problem('not-migrated', done === undefined || done.length === 0 ? 'The database has no tables of this server yet.' : `The schema is not up to date: ${missing.join(', ')} did not run.`, how)
  } else {
    report.ok('schema', 'The schema is up to date.')
  }
}
