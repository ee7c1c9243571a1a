import { formatBytes } from '../../lib/format'
import type { Knex } from 'knex'
import { createKnex } from '../../db/engine/knex'
import { connectionsOfWorker } from '../../workers/share'
import { describeDatabase, foreign } from '../wording'
import { describeFailure } from '../failure'
import { compareClock } from './clock'
import { checkSchema } from './schema'
import type { Report } from './finding'
import type { Subject } from './check'

const QUERY_TIMEOUT_MS = 4000

const TABLES = [
  'messages',
  'quota_usage',
  'permissions',
  'payments',
  'payment_outpoints',
  'devices',
  'advertisements',
]

export async function checkMysql(subject: Subject, report: Report): Promise<void> {
  const { db } = subject.config
  const knex = createKnex(db)
  try {
    const version = await connect(knex)
    report.ok('database', `${describeDatabase(db)} answers: ${version}.`)
    checkVersion(version, report)
    await checkVariables(knex, subject, report)
    await checkTime(knex, report)
    await checkTables(knex, subject, report)
  } catch (error) {
    report.problem(
      'database',
      `${describeDatabase(db)}: ${describeFailure(error)}`,
      'Correct KNEX_DB_CONNECTION, or the database. DEPLOYING.md shows how to set both up.',
    )
  } finally {
    await knex.destroy()
  }
}

async function connect(knex: Knex): Promise<string> {
  const [[row]] = await knex.raw('select version() as version').timeout(QUERY_TIMEOUT_MS)
  return foreign(row.version)
}

function checkVersion(version: string, report: Report): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isMaria = /mariadb/i.test(version)
  const fits = isMaria ? major > 10 || (major === 10 && minor >= 6) : major >= 8
  if (!fits)
    report.problem(
      'old-database',
      `${isMaria ? 'MariaDB' : 'MySQL'} ${version} is too old.`,
      'Use MySQL 8, or MariaDB 10.6 or later.',
    )
}

async function checkVariables(knex: Knex, { config }: Subject, report: Report): Promise<void> {
  const names = [
    'innodb_flush_log_at_trx_commit',
    'sync_binlog',
    'log_bin',
    'max_allowed_packet',
    'max_connections',
    'read_only',
    'binlog_format',
  ]
  const [rows] = await knex
    .raw(`show global variables where Variable_name in (${names.map(() => '?').join(', ')})`, names)
    .timeout(QUERY_TIMEOUT_MS)
  const values = new Map(
    (rows as Array<{ Variable_name: string; Value: string }>).map((row) => [
      row.Variable_name,
      row.Value,
    ]),
  )
  const flush = values.get('innodb_flush_log_at_trx_commit')
  if (flush !== '1')
    report.problem(
      'not-durable',
      `innodb_flush_log_at_trx_commit is ${flush ?? 'unknown'}: ` +
        "stored messages can be lost when the database's machine fails.",
      "Set it to 1 in the database's configuration.",
    )
  if (values.get('log_bin') === 'ON' && values.get('sync_binlog') !== '1') {
    report.warning(
      'binlog-not-durable',
      `sync_binlog is ${values.get('sync_binlog') ?? 'unknown'}: ` +
        'after a power failure, the binary log and the replicas can lack messages.',
      "Set sync_binlog=1 in the database's configuration.",
    )
  }
  if (values.get('log_bin') === 'ON' && values.get('binlog_format') === 'STATEMENT') {
    report.problem(
      'binlog-format',
      'binlog_format is STATEMENT: the database rejects writes in READ COMMITTED.',
      "Set binlog_format=ROW in the database's configuration.",
    )
  }
  const packet = Number(values.get('max_allowed_packet'))
  if (packet < 2 * config.http.maxBodyBytes) {
    report.warning(
      'small-packets',
      `max_allowed_packet is ${formatBytes(packet)}, less than twice MAX_BODY_SIZE ` +
        `(${formatBytes(config.http.maxBodyBytes)}): the database can reject the largest messages.`,
      "Raise max_allowed_packet in the database's configuration, or lower MAX_BODY_SIZE.",
    )
  }
  const connections = Number(values.get('max_connections'))
  const needed = config.workers * connectionsOfWorker(config.workers)
  if (connections < needed)
    report.warning(
      'few-connections',
      `max_connections is ${connections}, but the server opens up to ${needed} connections.`,
      "Raise max_connections in the database's configuration, or lower WORKERS.",
    )
  if (/^(on|1)/i.test(values.get('read_only') ?? ''))
    report.problem(
      'read-only',
      'The database is read-only: it is a replica or locked.',
      'Connect to the primary.',
    )
}

async function checkTime(knex: Knex, report: Report): Promise<void> {
  const asked = Date.now()
  const [[row]] = await knex.raw('select unix_timestamp(now(3)) as now').timeout(QUERY_TIMEOUT_MS)
  compareClock("the database's", Number(row.now) * 1000, asked, Date.now(), report)
}

async function checkTables(knex: Knex, subject: Subject, report: Report): Promise<void> {
  const done = (await knex.schema.hasTable('knex_migrations'))
    ? (await knex('knex_migrations').select('name').orderBy('id')).map(({ name }) => name as string)
    : undefined
  await checkSchema(done, subject, report)
  const [texts] = await knex
    .raw(
      'select character_set_name as charset from information_schema.columns ' +
        "where table_schema = database() and table_name = 'messages' and column_name = 'body'",
    )
    .timeout(QUERY_TIMEOUT_MS)
  const charset = (texts as Array<{ charset: string }>)[0]?.charset
  if (charset !== undefined && charset !== 'utf8mb4')
    report.problem(
      'character-set',
      `The character set of bodies is ${charset}, which cannot store every character.`,
      'Run: alter table messages modify body longtext ' +
        'character set utf8mb4 collate utf8mb4_bin not null',
    )
  const [rows] = await knex
    .raw(
      'select table_name as name, engine as engine from information_schema.tables ' +
        "where table_schema = database() and table_type = 'BASE TABLE' and engine <> 'InnoDB'",
    )
    .timeout(QUERY_TIMEOUT_MS)
  const other = (rows as Array<{ name: string; engine: string }>).filter(({ name }) =>
    TABLES.includes(name),
  )
  const named = other.map(({ name, engine }) => `${name} (${engine})`)
  if (other.length > 0)
    report.problem(
      'engine',
      `Tables without transactions: ${named.join(', ')}.`,
      'Stop the server and run "ALTER TABLE … ENGINE=InnoDB" for each.',
    )
  if (done === undefined || done.length === 0) return
  // Proves that the account may write. No identity has this key, and the doctor rolls it back.
  const trx = await knex.transaction()
  try {
    await trx('quota_usage')
      .where({ identity_key: '', subject: 'inbox' })
      .delete()
      .timeout(QUERY_TIMEOUT_MS)
  } finally {
    await trx.rollback()
  }
}
