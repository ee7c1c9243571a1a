/** Creates a new database for each test, on every engine of this run. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import type { DatabaseConfig } from '../../src/config'

export interface TestDatabase {
  config: DatabaseConfig
  /** The settings of the database, for a server in another process. */
  env: { KNEX_DB_CLIENT: string; KNEX_DB_CONNECTION: string }
  drop: () => Promise<void>
}

export type Engine = 'sqlite' | 'mysql'

/** SQLite, and MySQL if the global setup found a server. `npm run test:quick` uses SQLite only. */
export const ENGINES: Engine[] =
  process.env.TEST_MYSQL_READY === 'true' ? ['sqlite', 'mysql'] : ['sqlite']

export const TEST_MYSQL_URL = process.env.TEST_MYSQL_URL ?? 'mysql://root@127.0.0.1:3306'

export async function createDatabase(engine: Engine): Promise<TestDatabase> {
  return engine === 'sqlite' ? createSqlite() : await createMysql()
}

function createSqlite(): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-test-'))
  return describe(
    { client: 'better-sqlite3', connection: { filename: join(folder, 'test.sqlite') } },
    async () => {
      rmSync(folder, { recursive: true, force: true })
    },
  )
}

async function createMysql(): Promise<TestDatabase> {
  const url = new URL(TEST_MYSQL_URL)
  // If a test does not drop it, the global teardown does: it drops all databases with this prefix.
  const prefix = process.env.TEST_MYSQL_PREFIX ?? 'messagebox_test'
  const database = `${prefix}_${randomBytes(6).toString('hex')}`
  await onMysql(async (connection) => {
    await connection.query(`create database \`${database}\``)
  })
  const connection = {
    host: url.hostname,
    port: Number(url.port === '' ? 3306 : url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
  }
  return describe({ client: 'mysql2', connection }, async () => {
    await onMysql(async (connection) => {
      await connection.query(`drop database if exists \`${database}\``)
    })
  })
}

function describe(config: DatabaseConfig, drop: () => Promise<void>): TestDatabase {
  return {
    config,
    drop,
    env: { KNEX_DB_CLIENT: config.client, KNEX_DB_CONNECTION: JSON.stringify(config.connection) },
  }
}

/** Opens a connection to the MySQL server, without a database, for `work`. */
export async function onMysql<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
  // Loaded here, since most test files use only SQLite.
  const { createConnection } = await import('mysql2/promise')
  const connection = await createConnection({ uri: TEST_MYSQL_URL, connectTimeout: 3000 })
  try {
    return await work(connection)
  } finally {
    await connection.end()
  }
}
