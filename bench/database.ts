/** Databases that the benchmark creates and drops, on MySQL or MariaDB and on SQLite. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import type { Knex } from 'knex'
import mysql, { type Connection } from 'mysql2/promise'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseConfig } from '../src/config'
import { createKnex } from '../src/db/engine/knex'
import { migrate } from '../src/db/engine/migrate'

export interface BenchDatabase {
  config: DatabaseConfig
  knex: Knex
  /** Of the database, if it is a local process. */
  pid?: number
  drop: () => Promise<void>
}

export interface DatabaseServer {
  engine: Engine
  /** A text: product, version and the settings that durability depends on. */
  description: string
  /** A warning if the goals do not apply to these results. */
  warning?: string
  /** Its process, if local; 'embedded' if it is part of the server. */
  pid?: number | 'embedded'
  create: () => Promise<BenchDatabase>
  close: () => Promise<void>
}

/** Removes records of migrations that another checkout does not know and would not start with. */
export async function forgetMigrations({ knex }: BenchDatabase, folder: string): Promise<void> {
  const known = readdirSync(join(folder, 'dist', 'migrations')).map((name) => name.split('.')[0]!)
  await knex('knex_migrations').whereNotIn('name', known).delete()
}

const URL_OF_MYSQL = process.env.TEST_MYSQL_URL ?? 'mysql://root@127.0.0.1:3306'

export const ENGINES = ['mysql', 'sqlite'] as const
export type Engine = (typeof ENGINES)[number]

/** @param engine if undefined, the database server at TEST_MYSQL_URL, or else SQLite */
export async function findDatabaseServer(engine?: Engine): Promise<DatabaseServer> {
  if (engine === 'sqlite') return sqlite()
  let connection: Connection
  try {
    connection = await mysql.createConnection({ uri: URL_OF_MYSQL, connectTimeout: 3000 })
  } catch (error) {
    const { code = 'no answer' } = error as NodeJS.ErrnoException
    const missing = `NO MYSQL AT ${new URL(URL_OF_MYSQL).host} (${code})`
    const advice = 'Start one, or set TEST_MYSQL_URL.'
    if (engine === 'mysql') throw new Error(`${missing}. ${advice}`)
    return sqlite(`${missing}: THIS RUNS ON SQLITE. ${advice}`)
  }
  try {
    return await mysqlServer(connection)
  } catch (error) {
    await connection.end()
    throw error
  }
}

async function mysqlServer(connection: Connection): Promise<DatabaseServer> {
  const [[lock]] = (await connection.query(
    "select get_lock('messagebox benchmark', 0) as held",
  )) as unknown as [[{ held: number | null }]]
  if (lock.held !== 1)
    throw new Error(
      'Another benchmark is running on this database server: two at once would measure each other',
    )
  const [rows] =
    await connection.query(`show variables where variable_name in ('version', 'version_comment',
      'pid_file', 'innodb_flush_log_at_trx_commit', 'sync_binlog', 'log_bin', 'innodb_doublewrite',
      'innodb_buffer_pool_size')`)
  const variables = Object.fromEntries(
    (rows as Array<{ Variable_name: string; Value: string }>).map((row) => [
      row.Variable_name,
      row.Value,
    ]),
  )
  const durable =
    variables.innodb_flush_log_at_trx_commit === '1' &&
    (variables.log_bin === 'OFF' || variables.sync_binlog === '1')
  const pid = findProcess(variables.pid_file)
  return {
    engine: 'mysql',
    description:
      `${/mariadb/i.test(variables.version ?? '') ? 'MariaDB' : 'MySQL'} ${variables.version}, ` +
      ['innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog', 'innodb_doublewrite']
        .map((name) => `${name}=${variables[name]}`)
        .join(' ') +
      `, buffer pool ${Number(variables.innodb_buffer_pool_size) / 1024 ** 2} MiB`,
    ...(!durable && {
      warning: 'THE DATABASE IS NOT AT FULL DURABILITY: sends are faster than they would be.',
    }),
    pid,
    create: async () => ({ ...(await createMysql(connection)), pid }),
    close: async () => {
      await connection.end()
    },
  }
}

async function createMysql(admin: Connection): Promise<BenchDatabase> {
  const url = new URL(URL_OF_MYSQL)
  const database = `messagebox_bench_${randomBytes(6).toString('hex')}`
  await admin.query(`create database \`${database}\``)
  const connection = {
    host: url.hostname,
    port: Number(url.port === '' ? 3306 : url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
  }
  return await open({ client: 'mysql2', connection }, async () => {
    await admin.query(`drop database if exists \`${database}\``)
  })
}

function sqlite(warning?: string): DatabaseServer {
  return {
    engine: 'sqlite',
    description: 'SQLite, journal_mode=WAL synchronous=FULL',
    ...(warning !== undefined && { warning }),
    pid: 'embedded',
    async create() {
      const folder = mkdtempSync(join(tmpdir(), 'messagebox-bench-'))
      return await open(
        { client: 'better-sqlite3', connection: { filename: join(folder, 'bench.sqlite') } },
        async () => {
          rmSync(folder, { recursive: true, force: true })
        },
      )
    },
    close: async () => {},
  }
}

async function open(config: DatabaseConfig, remove: () => Promise<void>): Promise<BenchDatabase> {
  const knex = createKnex(config)
  await migrate(knex, config)
  return {
    config,
    knex,
    async drop() {
      await knex.destroy()
      await remove()
    },
  }
}

/** The process in the pid file, if it is a local database. */
function findProcess(pidFile: string | undefined): number | undefined {
  try {
    if (!['127.0.0.1', 'localhost', '[::1]'].includes(new URL(URL_OF_MYSQL).hostname))
      return undefined
    const pid = Number(readFileSync(pidFile!, 'utf8'))
    return /^(mariadbd|mysqld)$/.test(readFileSync(`/proc/${pid}/comm`, 'utf8').trim())
      ? pid
      : undefined
  } catch {
    return undefined
  }
}
