import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onMysql, TEST_MYSQL_URL } from '../databases/databases'

/**
 * Looks for a MySQL server, and sets a prefix for the names of this run's databases, and a folder
 * for the records of `documented.ts`.
 */
export default async function globalSetup(): Promise<void> {
  // Otherwise the wallet toolbox makes dotenv print a line for each test file.
  process.env.DOTENV_CONFIG_QUIET = 'true'
  process.env.TEST_SEEN_FOLDER = mkdtempSync(join(tmpdir(), 'messagebox-seen-'))
  if (process.env.TEST_ENGINES === 'sqlite') return
  try {
    await onMysql(async (connection) => {
      await connection.query('select 1')
    })
    process.env.TEST_MYSQL_READY = 'true'
    process.env.TEST_MYSQL_PREFIX = `messagebox_test_${process.pid}`
  } catch (error) {
    const { code = 'no answer' } = error as NodeJS.ErrnoException
    const text = `NO MYSQL AT ${new URL(TEST_MYSQL_URL).host} (${code}): ITS HALF OF THE TESTS`
    if (process.env.CI === 'true') throw new Error(`${text} CANNOT RUN`)
    process.stderr.write(`\n*** ${text} IS SKIPPED. Start one, or set TEST_MYSQL_URL. ***\n`)
  }
}
