/**
 * Configuration in two steps: `readEnv` names the variables this server knows, `parseConfig` turns those
 * flat strings into a nested, validated `Config`. Every problem is reported at once, and no message ever
 * repeats the value of a variable that may hold a secret.
 */
import { Secret } from '../lib/secret'
import { parseServiceAccount, readServiceAccount, type ServiceAccount } from './serviceAccount'
import {
  duration,
  findUnknownOptions,
  GIB,
  KIB,
  largestAnswer,
  limit,
  MIB,
  parseBoolean,
  parseBoxes,
  parseCount,
  parseDays,
  parseEndpoint,
  parseEnvironment,
  parseFees,
  parseHost,
  parseLogLevel,
  parseMigrateKey,
  parseNetwork,
  parsePort,
  parsePrefix,
  parsePrivateKey,
  parseProject,
  parseRedisUrl,
  parseTrustProxy,
  parseUrl,
  ROOM,
  SECOND,
  size,
  type DeliveryFees,
  type Environment,
  type Limit,
  type LogLevel,
  type Network,
  type TrustProxy,
} from './parsers'

export type { DeliveryFees } from './parsers'

/** The variables, in the order of `.env.example`. */
export const VARIABLES = [
  'NODE_ENV',
  'PORT',
  'HTTP_PORT',
  'ROUTING_PREFIX',
  'HOSTING_DOMAIN',
  'TRUST_PROXY',
  'SERVER_PRIVATE_KEY',
  'WALLET_STORAGE_URL',
  'NETWORK',
  'BSV_NETWORK',
  'DELIVERY_FEES',
  'CHAINTRACKS_URL',
  'ARC_URL',
  'ARC_API_KEY',
  'KNEX_DB_CLIENT',
  'KNEX_DB_CONNECTION',
  'REDIS_URL',
  'ENABLE_WEBSOCKETS',
  'ENABLE_OVERLAY',
  'ADVERTISE',
  'ENABLE_FIREBASE',
  'FIREBASE_SERVICE_ACCOUNT_JSON',
  'FIREBASE_SERVICE_ACCOUNT_PATH',
  'FIREBASE_PROJECT_ID',
  'PUSH_BOXES',
  'ENABLE_TRY',
  'LOGGING_ENABLED',
  'LOG_LEVEL',
  'METRICS_PORT',
  'METRICS_HOST',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'MIGRATE_KEY',
  'MIGRATE_ON_START',
  'SHUTDOWN_TIMEOUT',
  'MAX_BODY_SIZE',
  'MAX_PAGE_BYTES',
  'RATE_LIMIT_ADDRESS',
  'RATE_LIMIT_IDENTITY',
  'VERIFICATION_SECONDS',
  'INBOX_QUOTA_MESSAGES',
  'INBOX_QUOTA_BYTES',
  'SENDER_QUOTA_MESSAGES',
  'SENDER_QUOTA_BYTES',
  'RULE_QUOTA',
  'MAX_CONCURRENT_REQUESTS',
  'MAX_CONNECTIONS_ADDRESS',
  'MAX_SOCKETS_ADDRESS',
  'MAX_SOCKETS_IDENTITY',
  'INCOMING_MEMORY',
  'OUTGOING_MEMORY',
  'MESSAGE_RETENTION_DAYS',
] as const

export type Variable = (typeof VARIABLES)[number]

/** What the environment says, untouched but for blanks: an empty variable counts as not set. */
export type FlatEnv = Partial<Record<Variable, string>>

export interface DatabaseConfig {
  client: 'better-sqlite3' | 'mysql2'
  /** Handed to Knex as it is; for SQLite `{filename}`. */
  connection: Record<string, unknown>
}

/** Of what is stored for a recipient, or from a sender. */
export interface Quota {
  messages: Limit
  /** Of bodies. */
  bytes: Limit
}

export interface Quotas {
  inbox: Quota
  sender: Quota
}

export interface PushConfig {
  enabled: boolean
  /** Whose messages devices are told of. */
  boxes: string[]
  /** Who tells them at Google, and for which project; both are there where push is enabled. */
  account?: ServiceAccount
  projectId?: string
}

export interface Config {
  env: Environment
  http: {
    port: number
    /** Before all routes but the handshake: '' or '/api', never with a slash at its end. */
    prefix: string
    hostingDomain?: string
    trustProxy: TrustProxy
    /** Largest request body, in bytes. */
    maxBodyBytes: number
    /** How long a stop waits for what is under way, in milliseconds. */
    shutdownTimeout: number
  }
  auth: {
    /** 64 hex digits. Undefined only in development and test: a key is then made for this run. */
    privateKey?: Secret
  }
  network: Network
  db: DatabaseConfig
  redis: { url?: Secret }
  mailbox: {
    /** How many bytes an answer of /listMessages has at most, unless a single message has more. */
    maxPageBytes: number
    quotas: Quotas
    /** Rules of permissions that one recipient may have. */
    maxRules: Limit
    /** After how many milliseconds a message is removed, though nobody acknowledged it; undefined keeps it. */
    retention: Limit
  }
  limits: {
    /** Points a minute: a request costs one, and more if it is large. */
    perAddress: Limit
    perIdentity: Limit
    /** Seconds a minute that transactions of one address may take to verify. */
    verificationSeconds: Limit
    /** Requests that are worked on at once. */
    concurrent: Limit
    /** TCP connections of one address; sockets of Socket.IO of one address and of one identity. */
    connections: Limit
    socketsPerAddress: Limit
    socketsPerIdentity: Limit
  }
  /** Bytes of what has arrived and is not worked on yet, and of what is sent and not read yet. */
  memory: { incoming: number; outgoing: number }
  live: { enabled: boolean }
  /** Lookup and submission for the overlay network. */
  overlay: { enabled: boolean }
  /** Whether the server advertises itself there. */
  advertise: boolean
  push: PushConfig
  pages: { try: boolean }
  log: { level: LogLevel; pretty: boolean }
  metrics: { port?: number; host: string }
  tracing: { endpoint?: string }
  /** What the server asks for a delivery into a box, by the box's name, in satoshis. */
  deliveryFees: DeliveryFees
  payments: {
    /** Where block headers are looked up, and where transactions are sent; undefined where the network has no public service. */
    chaintracksUrl?: string
    arcUrl?: string
    arcApiKey?: Secret
  }
  wallet: { storageUrl?: string }
  migrate: { key?: Secret; onStart: boolean }
}

/** A configuration that cannot be used. `problems` holds one sentence each. */
export class ConfigError extends Error {
  constructor(readonly problems: string[]) {
    super(
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n` +
        problems.map((problem) => `  - ${problem}`).join('\n') +
        '\nEvery variable is described in .env.example.',
    )
    this.name = 'ConfigError'
  }
}

/** Picks this server's variables out of an environment. */
export function readEnv(env: NodeJS.ProcessEnv): FlatEnv {
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
export function parseConfig(flat: FlatEnv): Config {
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
  /** As `take`, for a limit that is in force unless it is said to be off. */
  const takeLimit = (name: Variable, parse: (value: string) => number, usual: number): Limit => {
    return flat[name] === undefined ? usual : take(name, limit(parse))
  }

  const env = take('NODE_ENV', parseEnvironment) ?? 'development'
  const local = isLocal(env)
  const [port, httpPort] = [take('PORT', parsePort), take('HTTP_PORT', parsePort)]
  const [network, bsvNetwork] = [take('NETWORK', parseNetwork), take('BSV_NETWORK', parseNetwork)]
  const chain = network ?? bsvNetwork ?? 'main'
  const privateKey = take('SERVER_PRIVATE_KEY', parsePrivateKey)
  if (flat.SERVER_PRIVATE_KEY === undefined && !local) {
    problems.push(
      'SERVER_PRIVATE_KEY is required outside development and test: make one with "npm run keygen"',
    )
  }
  const maxBodyBytes = take('MAX_BODY_SIZE', size('1kb', '100mb')) ?? 10 * MIB
  const maxPageBytes = take('MAX_PAGE_BYTES', size('1kb', '100mb')) ?? 4000 * KIB
  const [logging, level] = [take('LOGGING_ENABLED', parseBoolean), take('LOG_LEVEL', parseLogLevel)]
  const config: Config = {
    env,
    http: {
      port: port ?? httpPort ?? (local ? 8080 : 3000),
      prefix: take('ROUTING_PREFIX', parsePrefix) ?? '',
      hostingDomain: take('HOSTING_DOMAIN', parseUrl),
      trustProxy: take('TRUST_PROXY', parseTrustProxy) ?? 0,
      maxBodyBytes,
      shutdownTimeout:
        take('SHUTDOWN_TIMEOUT', duration('1 second', '10 minutes', '"30 seconds"')) ?? 10 * SECOND,
    },
    auth: { privateKey },
    network: chain,
    db: parseDatabase(take, flat, problems),
    redis: { url: take('REDIS_URL', parseRedisUrl) },
    mailbox: {
      maxPageBytes,
      quotas: {
        inbox: {
          messages: takeLimit('INBOX_QUOTA_MESSAGES', parseCount, 10_000),
          bytes: takeLimit('INBOX_QUOTA_BYTES', size('1b', '1024tb'), GIB),
        },
        sender: {
          messages: takeLimit('SENDER_QUOTA_MESSAGES', parseCount, 10_000),
          bytes: takeLimit('SENDER_QUOTA_BYTES', size('1b', '1024tb'), GIB),
        },
      },
      maxRules: takeLimit('RULE_QUOTA', parseCount, 10_000),
      retention: take('MESSAGE_RETENTION_DAYS', limit(parseDays)),
    },
    limits: {
      perAddress: takeLimit('RATE_LIMIT_ADDRESS', parseCount, 1200),
      perIdentity: takeLimit('RATE_LIMIT_IDENTITY', parseCount, 3000),
      verificationSeconds: takeLimit('VERIFICATION_SECONDS', parseCount, 20),
      concurrent: takeLimit('MAX_CONCURRENT_REQUESTS', parseCount, 500),
      connections: takeLimit('MAX_CONNECTIONS_ADDRESS', parseCount, 4000),
      socketsPerAddress: takeLimit('MAX_SOCKETS_ADDRESS', parseCount, 2000),
      socketsPerIdentity: takeLimit('MAX_SOCKETS_IDENTITY', parseCount, 50),
    },
    memory: {
      incoming:
        take('INCOMING_MEMORY', size('16mb', '64gb')) ?? Math.max(128 * MIB, 2 * maxBodyBytes),
      outgoing:
        take('OUTGOING_MEMORY', size('16mb', '64gb')) ??
        Math.max(128 * MIB, 2 * largestAnswer(maxPageBytes, maxBodyBytes)),
    },
    live: { enabled: take('ENABLE_WEBSOCKETS', parseBoolean) ?? false },
    overlay: { enabled: take('ENABLE_OVERLAY', parseBoolean) ?? env === 'development' },
    advertise: take('ADVERTISE', parseBoolean) ?? false,
    push: parsePush(take, flat, problems),
    pages: { try: take('ENABLE_TRY', parseBoolean) ?? env === 'development' },
    log: { level: level ?? (logging === true ? 'debug' : 'info'), pretty: env === 'development' },
    metrics: {
      port: take('METRICS_PORT', parsePort),
      host: take('METRICS_HOST', parseHost) ?? '127.0.0.1',
    },
    tracing: { endpoint: take('OTEL_EXPORTER_OTLP_ENDPOINT', parseEndpoint) },
    deliveryFees: take('DELIVERY_FEES', parseFees) ?? {},
    payments: {
      chaintracksUrl: take('CHAINTRACKS_URL', parseUrl) ?? PUBLIC_SERVICES[chain].chaintracksUrl,
      arcUrl: take('ARC_URL', parseUrl) ?? PUBLIC_SERVICES[chain].arcUrl,
      arcApiKey: take('ARC_API_KEY', (value) => new Secret(value)),
    },
    wallet: { storageUrl: take('WALLET_STORAGE_URL', parseUrl) },
    migrate: {
      key: take('MIGRATE_KEY', parseMigrateKey),
      onStart: take('MIGRATE_ON_START', parseBoolean) ?? true,
    },
  }
  if (config.memory.outgoing < largestAnswer(maxPageBytes, maxBodyBytes) * ROOM)
    problems.push(
      'OUTGOING_MEMORY must be at least one and a half times MAX_PAGE_BYTES and three times MAX_BODY_SIZE, or what is stored could not be listed',
    )
  if (config.memory.incoming < config.http.maxBodyBytes * ROOM)
    problems.push(
      'INCOMING_MEMORY must be at least one and a half times MAX_BODY_SIZE, since a body takes that much while it arrives',
    )
  if (config.advertise) problems.push(...advertisingProblems(flat, config))
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/** The public services of each network, for payments: Babbage's Chaintracks, GorillaPool's ARC. */
const PUBLIC_SERVICES: Record<Network, { chaintracksUrl?: string; arcUrl?: string }> = {
  main: {
    chaintracksUrl: 'https://mainnet-chaintracks.babbage.systems',
    arcUrl: 'https://arc.gorillapool.io',
  },
  test: {
    chaintracksUrl: 'https://testnet-chaintracks.babbage.systems',
    arcUrl: 'https://testnet.arc.gorillapool.io',
  },
  local: {},
}

/** Where a server may go without an identity that lasts. */
function isLocal(env: Environment): boolean {
  return env === 'development' || env === 'test'
}

/** What advertising the server needs of other settings. */
function advertisingProblems(flat: FlatEnv, { env, http, payments }: Config): string[] {
  const { hostingDomain = '', prefix } = http
  return [
    ...(isAdvertisable(hostingDomain)
      ? []
      : [
          'HOSTING_DOMAIN must be an https address with nothing behind the host, such as https://box.example.com, with ADVERTISE=true',
        ]),
    // What is advertised is where clients append their paths.
    ...(prefix === ''
      ? []
      : [
          'ROUTING_PREFIX must not be set with ADVERTISE=true, since messages to the server go to HOSTING_DOMAIN without it',
        ]),
    ...(flat.SERVER_PRIVATE_KEY === undefined && isLocal(env)
      ? [
          'SERVER_PRIVATE_KEY is required with ADVERTISE=true: an identity of this run alone is not worth it',
        ]
      : []),
    ...(flat.WALLET_STORAGE_URL === undefined
      ? [
          "WALLET_STORAGE_URL is required with ADVERTISE=true: advertisements are paid for by the server's wallet",
        ]
      : []),
    ...(payments.chaintracksUrl === undefined || payments.arcUrl === undefined
      ? ['CHAINTRACKS_URL and ARC_URL are required with ADVERTISE=true on a local network']
      : []),
  ]
}

function isAdvertisable(address: string): boolean {
  if (!URL.canParse(address)) return false
  const { protocol, hostname, origin } = new URL(address)
  return protocol === 'https:' && hostname !== 'localhost' && address.toLowerCase() === origin
}

type Take = <T>(name: Variable, parse: (value: string) => T) => T | undefined

const DATABASE_CLIENTS = new Map<string, DatabaseConfig['client']>([
  ['mysql', 'mysql2'],
  ['mysql2', 'mysql2'],
  ['better-sqlite3', 'better-sqlite3'],
  ['sqlite3', 'better-sqlite3'],
  ['sqlite', 'better-sqlite3'],
])

function parseDatabase(take: Take, flat: FlatEnv, problems: string[]): DatabaseConfig {
  const named = take('KNEX_DB_CLIENT', (value) => {
    const client = DATABASE_CLIENTS.get(value)
    if (client === undefined) throw new Error('must be mysql2 (or mysql) or better-sqlite3')
    return client
  })
  const connection = take('KNEX_DB_CONNECTION', parseConnection)
  if (connection === undefined) {
    if (named === 'mysql2' && flat.KNEX_DB_CONNECTION === undefined) {
      problems.push(
        'KNEX_DB_CONNECTION is required with KNEX_DB_CLIENT=mysql2, such as {"host":"127.0.0.1","user":"messagebox","password":"…","database":"messagebox"}',
      )
    }
    return { client: 'better-sqlite3', connection: { filename: 'data/messagebox.sqlite' } }
  }
  const client = named ?? 'mysql2'
  if (client === 'better-sqlite3' && typeof connection.filename !== 'string') {
    problems.push(
      'KNEX_DB_CONNECTION must hold a filename with better-sqlite3, such as {"filename":"data/messagebox.sqlite"}',
    )
  }
  if (client === 'mysql2' && typeof connection.database !== 'string') {
    problems.push(
      'KNEX_DB_CONNECTION must name a database, such as {"host":"127.0.0.1","user":"messagebox","password":"…","database":"messagebox"}',
    )
  }
  const unknown = client === 'mysql2' ? findUnknownOptions(connection) : []
  if (unknown.length > 0)
    problems.push(
      `KNEX_DB_CONNECTION holds what this server does not take: ${unknown.join(', ')}. Leave it out`,
    )
  return { client, connection }
}

function parseConnection(value: string): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    throw new Error(
      'must be JSON, such as {"host":"127.0.0.1","user":"messagebox","password":"…","database":"messagebox"}',
    )
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new Error('must be a JSON object')
  return parsed as Record<string, unknown>
}

function parsePush(take: Take, flat: FlatEnv, problems: string[]): PushConfig {
  const enabled = take('ENABLE_FIREBASE', parseBoolean) ?? false
  const [given, read] = [
    take('FIREBASE_SERVICE_ACCOUNT_JSON', parseServiceAccount),
    take('FIREBASE_SERVICE_ACCOUNT_PATH', readServiceAccount),
  ]
  const account = given ?? read
  const projectId = take('FIREBASE_PROJECT_ID', parseProject) ?? account?.projectId
  if (
    enabled &&
    flat.FIREBASE_SERVICE_ACCOUNT_JSON === undefined &&
    flat.FIREBASE_SERVICE_ACCOUNT_PATH === undefined
  ) {
    problems.push(
      'FIREBASE_SERVICE_ACCOUNT_JSON or FIREBASE_SERVICE_ACCOUNT_PATH is required with ENABLE_FIREBASE=true',
    )
  }
  if (
    enabled &&
    account !== undefined &&
    projectId === undefined &&
    flat.FIREBASE_PROJECT_ID === undefined
  ) {
    problems.push('FIREBASE_PROJECT_ID is required, since the service account names no project')
  }
  return { enabled, boxes: take('PUSH_BOXES', parseBoxes) ?? ['notifications'], account, projectId }
}
