/** The connection to the database: KNEX_DB_CLIENT and KNEX_DB_CONNECTION. */

export interface DatabaseConfig {
  client: 'better-sqlite3' | 'mysql2'
  /** Handed to Knex as it is; for SQLite `{filename}`. */
  connection: Record<string, unknown>
  /** The most connections of this process to MySQL. Default: 10. */
  maxConnections?: number
}

const EXAMPLE = '{"host":"127.0.0.1","user":"messagebox","password":"…","database":"messagebox"}'

const CLIENTS = new Map<string, DatabaseConfig['client']>([
  ['mysql', 'mysql2'],
  ['mysql2', 'mysql2'],
  ['better-sqlite3', 'better-sqlite3'],
  ['sqlite3', 'better-sqlite3'],
  ['sqlite', 'better-sqlite3'],
])

export function parseClient(value: string): DatabaseConfig['client'] {
  const client = CLIENTS.get(value)
  if (client === undefined) throw new Error('must be mysql2 (or mysql) or better-sqlite3')
  return client
}

export function parseConnection(value: string): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    throw new Error(`must be JSON, such as ${EXAMPLE}`)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new Error('must be a JSON object')
  return parsed as Record<string, unknown>
}

/**
 * The database of the two settings, SQLite in data/ if there is no connection.
 * @param isConnectionSet whether KNEX_DB_CONNECTION has a value, even one that could not be read
 * @param reject is called with each problem of how the two fit together
 */
export function toDatabase(
  named: DatabaseConfig['client'] | undefined,
  connection: Record<string, unknown> | undefined,
  isConnectionSet: boolean,
  reject: (text: string) => void,
): DatabaseConfig {
  if (connection === undefined) {
    if (named === 'mysql2' && !isConnectionSet)
      reject(`KNEX_DB_CONNECTION is required with KNEX_DB_CLIENT=mysql2, such as ${EXAMPLE}`)
    return { client: 'better-sqlite3', connection: { filename: 'data/messagebox.sqlite' } }
  }
  const client = named ?? 'mysql2'
  if (client === 'better-sqlite3' && typeof connection.filename !== 'string')
    reject(
      'KNEX_DB_CONNECTION must hold a filename with better-sqlite3, ' +
        'such as {"filename":"data/messagebox.sqlite"}',
    )
  if (client === 'mysql2' && typeof connection.database !== 'string')
    reject(`KNEX_DB_CONNECTION must name a database, such as ${EXAMPLE}`)
  const unknown = client === 'mysql2' ? findUnknownOptions(connection) : []
  if (unknown.length > 0)
    reject(
      `KNEX_DB_CONNECTION holds options that this server does not accept: ${unknown.join(', ')}. ` +
        'Leave them out',
    )
  return { client, connection }
}

/**
 * The options of a MySQL connection that the server sets itself, whatever KNEX_DB_CONNECTION says.
 * Several statements in one round trip save time, see db/engine/transaction.ts; values are always
 * bound.
 */
export const RELIED_ON = {
  charset: 'utf8mb4',
  timezone: 'Z',
  multipleStatements: true,
  typeCast: true,
  dateStrings: false,
  rowsAsArray: false,
  nestTables: false,
  supportBigNumbers: false,
  bigNumberStrings: false,
  decimalNumbers: false,
  jsonStrings: false,
  namedPlaceholders: false,
  stringifyObjects: false,
}

const MYSQL_OPTIONS = [
  ...Object.keys(RELIED_ON),
  'host',
  'port',
  'user',
  'password',
  'database',
  'socketPath',
  'ssl',
  'connectTimeout',
  'localAddress',
  'compress',
  'enableKeepAlive',
  'keepAliveInitialDelay',
  'insecureAuth',
  'trace',
]

/** The names of options of a MySQL connection that this server does not accept. */
function findUnknownOptions(connection: Record<string, unknown>): string[] {
  return Object.keys(connection).filter((name) => !MYSQL_OPTIONS.includes(name))
}
