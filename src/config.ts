/**
 * Configuration in two steps: `readEnv` names the variables this server knows, `parseConfig` turns those
 * flat strings into a nested, validated `Config`. Every problem is reported at once, and no message ever
 * repeats the value of a variable that may hold a secret.
 */
import { Secret } from './secret'

/** The variables, in the order of `.env.example`. */
export const VARIABLES = [
  'NODE_ENV', 'PORT', 'HTTP_PORT', 'ROUTING_PREFIX', 'HOSTING_DOMAIN', 'SERVER_PRIVATE_KEY',
  'WALLET_STORAGE_URL', 'NETWORK', 'BSV_NETWORK', 'KNEX_DB_CLIENT', 'KNEX_DB_CONNECTION',
  'ENABLE_WEBSOCKETS', 'LOGGING_ENABLED', 'MIGRATE_KEY', 'MAX_BODY_SIZE', 'MAX_PAGE_BYTES', 'SESSION_TTL'
] as const

export type Variable = typeof VARIABLES[number]

/** What the environment says, untouched but for blanks: an empty variable counts as not set. */
export type FlatEnv = Partial<Record<Variable, string>>

export type Environment = 'development' | 'staging' | 'production' | 'test'
export type Network = 'main' | 'test' | 'local'

export interface DatabaseConfig {
  client: 'better-sqlite3' | 'mysql2'
  /** Handed to Knex as it is; for SQLite `{filename}`. */
  connection: Record<string, unknown>
}

export interface Config {
  env: Environment
  http: {
    port: number
    /** Before all routes but the handshake: '' or '/api', never with a slash at its end. */
    prefix: string
    hostingDomain?: string
    /** Largest request body, in bytes. */
    maxBodyBytes: number
  }
  auth: {
    /** 64 hex digits. Undefined only in development and test: a key is then made for this run. */
    privateKey?: Secret
    /** How long a sealed session is honoured, in milliseconds. */
    sessionTtl: number
  }
  network: Network
  db: DatabaseConfig
  mailbox: {
    /** About how many bytes of bodies one page of /listMessages holds. */
    maxPageBytes: number
  }
  live: { enabled: boolean }
  log: { debug: boolean, pretty: boolean }
  wallet: { storageUrl?: string }
  migrate: { key?: Secret }
}

/** A configuration that cannot be used. `problems` holds one sentence each. */
export class ConfigError extends Error {
  constructor (readonly problems: string[]) {
    super(`The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n` +
      problems.map(problem => `  - ${problem}`).join('\n') +
      '\nEvery variable is described in .env.example.')
    this.name = 'ConfigError'
  }
}

/** Picks this server's variables out of an environment. */
export function readEnv (env: NodeJS.ProcessEnv): FlatEnv {
  const flat: FlatEnv = {}
  for (const name of VARIABLES) {
    const value = env[name]?.trim()
    if (value !== undefined && value !== '') flat[name] = value
  }
  return flat
}

/**
 * Validates flat settings and nests them.
 * @throws ConfigError that lists every problem.
 */
export function parseConfig (flat: FlatEnv): Config {
  const problems: string[] = []
  /** Runs one parser on one variable; a thrown sentence becomes a problem that names the variable. */
  const take = <T>(name: Variable, parse: (value: string) => T): T | undefined => {
    const value = flat[name]
    if (value === undefined) return undefined
    try {
      return parse(value)
    } catch (error) {
      problems.push(`${name} ${(error as Error).message}`)
      return undefined
    }
  }

  const env = take('NODE_ENV', parseEnvironment) ?? 'development'
  const local = env === 'development' || env === 'test'
  const [port, httpPort] = [take('PORT', parsePort), take('HTTP_PORT', parsePort)]
  const [network, bsvNetwork] = [take('NETWORK', parseNetwork), take('BSV_NETWORK', parseNetwork)]
  const privateKey = take('SERVER_PRIVATE_KEY', parsePrivateKey)
  if (flat.SERVER_PRIVATE_KEY === undefined && !local) {
    problems.push('SERVER_PRIVATE_KEY is required outside development and test: make one with "npm run keygen"')
  }
  const config: Config = {
    env,
    http: {
      port: port ?? httpPort ?? (local ? 8080 : 3000),
      prefix: take('ROUTING_PREFIX', parsePrefix) ?? '',
      hostingDomain: take('HOSTING_DOMAIN', parseUrl),
      maxBodyBytes: take('MAX_BODY_SIZE', parseSize) ?? 10 * MIB
    },
    auth: { privateKey, sessionTtl: take('SESSION_TTL', parseDuration) ?? 30 * DAY },
    network: network ?? bsvNetwork ?? 'main',
    db: parseDatabase(take, flat, problems),
    mailbox: { maxPageBytes: take('MAX_PAGE_BYTES', parseSize) ?? 8 * MIB },
    live: { enabled: take('ENABLE_WEBSOCKETS', parseBoolean) ?? false },
    log: { debug: take('LOGGING_ENABLED', parseBoolean) ?? false, pretty: env === 'development' },
    wallet: { storageUrl: take('WALLET_STORAGE_URL', parseUrl) },
    migrate: { key: take('MIGRATE_KEY', parseMigrateKey) }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

const MIB = 1024 * 1024
const DAY = 24 * 60 * 60 * 1000

function parseEnvironment (value: string): Environment {
  const environments: Environment[] = ['development', 'staging', 'production', 'test']
  const found = environments.find(name => name === value)
  if (found === undefined) throw new Error(`must be one of ${environments.join(', ')}`)
  return found
}

function parsePort (value: string): number {
  const port = Number(value)
  if (!/^\d+$/.test(value) || port > 65535) throw new Error('must be a port number from 0 to 65535')
  return port
}

function parsePrefix (value: string): string {
  const prefix = value.replace(/\/+$/, '')
  if (prefix !== '' && !/^(\/[A-Za-z0-9._~-]+)+$/.test(prefix)) {
    throw new Error('must be a path like /api: a slash, then letters, digits, dots, dashes or underscores')
  }
  return prefix
}

function parseUrl (value: string): string {
  let url: URL
  try {
    url = new URL(value)
  } catch {
    throw new Error('must be a URL like https://box.example.com')
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error('must begin with https:// or http://')
  return value.replace(/\/+$/, '')
}

/** The order of secp256k1: a private key lies between 1 and this less one. */
const CURVE_ORDER = BigInt('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141')

function parsePrivateKey (value: string): Secret {
  if (!/^[0-9a-fA-F]{64}$/.test(value)) throw new Error('must be 64 hex digits (256 bits): make one with "npm run keygen"')
  const scalar = BigInt(`0x${value}`)
  if (scalar === 0n || scalar >= CURVE_ORDER) throw new Error('is not in the range of the curve: make one with "npm run keygen"')
  return new Secret(value.toLowerCase())
}

function parseNetwork (value: string): Network {
  switch (value.toLowerCase()) {
    case 'main': case 'mainnet': return 'main'
    case 'test': case 'testnet': return 'test'
    case 'local': case 'regtest': return 'local'
    default: throw new Error('must be main (or mainnet), test (or testnet), local (or regtest)')
  }
}

function parseBoolean (value: string): boolean {
  if (value === 'true') return true
  if (value === 'false') return false
  throw new Error('must be true or false')
}

function parseMigrateKey (value: string): Secret {
  if (value.length <= 10) throw new Error('must be longer than 10 characters')
  return new Secret(value)
}

const SIZE_UNITS: Record<string, number> = { '': 1, b: 1, kb: 1024, mb: MIB }

function parseSize (value: string): number {
  const match = /^(\d+) ?(b|kb|mb)?$/i.exec(value)
  const bytes = match === null ? NaN : Number(match[1]) * SIZE_UNITS[(match[2] ?? '').toLowerCase()]!
  if (!(bytes >= 1024 && bytes <= 100 * MIB)) throw new Error('must be a size from 1kb to 100mb, such as 10mb')
  return bytes
}

const TIME_UNITS: Record<string, number> = {
  '': 1000, s: 1000, second: 1000, seconds: 1000, m: 60_000, minute: 60_000, minutes: 60_000,
  h: 3_600_000, hour: 3_600_000, hours: 3_600_000, d: DAY, day: DAY, days: DAY
}

function parseDuration (value: string): number {
  const match = /^(\d+) ?([a-z]*)$/i.exec(value)
  const unit = (match?.[2] ?? '').toLowerCase()
  const duration = Number(match?.[1]) * (Object.hasOwn(TIME_UNITS, unit) ? TIME_UNITS[unit]! : NaN)
  if (!(duration >= 60_000 && duration <= 3650 * DAY)) {
    throw new Error('must be a time from 1 minute to 3650 days, such as "30 days", "12 hours" or a number of seconds')
  }
  return duration
}

type Take = <T>(name: Variable, parse: (value: string) => T) => T | undefined

const DATABASE_CLIENTS = new Map<string, DatabaseConfig['client']>([
  ['mysql', 'mysql2'], ['mysql2', 'mysql2'], ['better-sqlite3', 'better-sqlite3'], ['sqlite3', 'better-sqlite3'], ['sqlite', 'better-sqlite3']
])

function parseDatabase (take: Take, flat: FlatEnv, problems: string[]): DatabaseConfig {
  const named = take('KNEX_DB_CLIENT', value => {
    const client = DATABASE_CLIENTS.get(value)
    if (client === undefined) throw new Error('must be mysql2 (or mysql) or better-sqlite3')
    return client
  })
  const connection = take('KNEX_DB_CONNECTION', parseConnection)
  if (connection === undefined) {
    if (named === 'mysql2' && flat.KNEX_DB_CONNECTION === undefined) {
      problems.push('KNEX_DB_CONNECTION is required with KNEX_DB_CLIENT=mysql2, such as {"host":"127.0.0.1","user":"messagebox","password":"…","database":"messagebox"}')
    }
    return { client: 'better-sqlite3', connection: { filename: 'data/messagebox.sqlite' } }
  }
  const client = named ?? 'mysql2'
  if (client === 'better-sqlite3' && typeof connection.filename !== 'string') {
    problems.push('KNEX_DB_CONNECTION must hold a filename with better-sqlite3, such as {"filename":"data/messagebox.sqlite"}')
  }
  if (client === 'mysql2' && typeof connection.database !== 'string') {
    problems.push('KNEX_DB_CONNECTION must name a database, such as {"host":"127.0.0.1","user":"messagebox","password":"…","database":"messagebox"}')
  }
  return { client, connection }
}

function parseConnection (value: string): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    throw new Error('must be JSON, such as {"host":"127.0.0.1","user":"messagebox","password":"…","database":"messagebox"}')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new Error('must be a JSON object')
  return parsed as Record<string, unknown>
}
