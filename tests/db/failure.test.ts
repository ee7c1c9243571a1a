import { afterAll, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ENGINES, TEST_MYSQL_URL } from '../../tools/databases/databases'

const SCRIPT = join(__dirname, '../../scripts/run.js')
const folder = mkdtempSync(join(tmpdir(), 'messagebox-failure-'))
const other = join(folder, 'other.sqlite')
writeFileSync(other, 'no database, but longer than the header of one. '.repeat(100))
const { hostname: host, port } = new URL(TEST_MYSQL_URL)

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

const CASES = [
  {
    engine: 'sqlite',
    name: 'the file is not a database',
    client: 'better-sqlite3',
    connection: { filename: other },
    says: 'is not a SQLite database',
  },
  {
    engine: 'mysql',
    name: 'the database rejects the user',
    client: 'mysql2',
    says: "It says: Access denied for user 'messagebox_nobody'",
    connection: {
      host,
      port: Number(port === '' ? 3306 : port),
      user: 'messagebox_nobody',
      password: 'a password',
      database: 'messagebox_none',
    },
  },
].filter(({ engine }) => ENGINES.some((present) => present === engine))

test.each(CASES)(
  'a command reports the error without a stack trace or a secret if $name',
  async ({ client, connection, says }) => {
    const env = {
      ...process.env,
      NODE_ENV: 'test',
      KNEX_DB_CLIENT: client,
      KNEX_DB_CONNECTION: JSON.stringify(connection),
    }

    const failure = await promisify(execFile)(
      process.execPath,
      [SCRIPT, 'src/cli/admin', 'migrate'],
      { env },
    ).then(
      () => ({ code: 0, stderr: '' }),
      (error) => error as { code: number; stderr: string },
    )

    expect(failure.code).toBe(1)
    expect(failure.stderr).toContain(says)
    expect(failure.stderr).not.toMatch(/^ +at /m)
    expect(failure.stderr).not.toContain('a password')
  },
)
