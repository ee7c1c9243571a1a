import type { Check } from './check'
import { checkMysql } from './mysql'
import { checkSqlite } from './sqlite'

export const checkDatabase: Check = async (subject, report) => {
  if (subject.broken.has('KNEX_DB_CONNECTION')) {
    report.warning(
      'not-checked',
      'The database was not checked, since its settings are invalid.',
      'Correct them first.',
    )
  } else if (subject.config.db.client === 'mysql2') {
    await checkMysql(subject, report)
  } else {
    await checkSqlite(subject, report)
  }
}
