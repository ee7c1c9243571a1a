import { compareSchema } from '../../db/engine/migrate'
import type { Report } from './finding'
import type { Subject } from './check'

/** @param done the migrations that have run; undefined if the table of migrations is missing */
export async function checkSchema(
  done: string[] | undefined,
  { config }: Subject,
  report: Report,
): Promise<void> {
  const { missing, unknown } = await compareSchema(done ?? [])
  const how = config.migrate.onStart
    ? 'Start the server, which migrates, or run "migrate".'
    : 'Run "migrate": with MIGRATE_ON_START=false the server does not migrate at its start.'
  if (unknown.length > 0) {
    report.problem(
      'schema-newer',
      `The schema is newer than this server: ${unknown.join(', ')}.`,
      'Run the newer version of the server, or restore the backup from before the upgrade. ' +
        'Migrations go forward only.',
    )
  } else if (missing.length > 0) {
    report.problem(
      'not-migrated',
      done === undefined || done.length === 0
        ? 'The database has no tables of this server yet.'
        : `The schema is not up to date: ${missing.join(', ')} did not run.`,
      how,
    )
  } else {
    report.ok('schema', 'The schema is up to date.')
  }
}
