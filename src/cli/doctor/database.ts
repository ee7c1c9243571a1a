import type { Check } from './check'
import { checkMysql } from './mysql'
import { checkSqlite } from './sqlite'

/** Whether the database is there, takes writes, keeps what it is given, and has this server's schema. */
export const checkDatabase: Check = async (subject, report) => {
  if (subject.broken.has('KNEX_DB_CONNECTION')) {
    report.warning(
      'not-checked',
      'The database was not looked at, since its settings cannot be used.',
      'Correct them first.',
    )
  } else if (subject.config.db.client === 'mysql2') {
    await checkMysql(subject, report)
  } else {
    await checkSqlite(subject, report)
  }
}
