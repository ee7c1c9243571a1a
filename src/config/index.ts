/**
 * Configuration in two steps: `readEnv` picks the variables that this server knows, `parseConfig`
 * turns their texts into a nested, validated `Config`. It reports every problem at once. No message
 * repeats the value of a variable that may hold a secret.
 */
import type { Secret } from '../lib/secret'
import { toDatabase, type DatabaseConfig } from './database'
import {
  largestAnswer,
  MEMORY_FACTOR,
  MIB,
  type DeliveryFees,
  type Environment,
  type Limit,
  type LogLevel,
  type Network,
  type TrustProxy,
} from './parsers'
import type { ServiceAccount } from './serviceAccount'
import { SETTINGS, VARIABLES, type Setting, type Value, type Variable } from './settings'

export type { DatabaseConfig } from './database'
export type { DeliveryFees } from './parsers'
export { VARIABLES, type Variable } from './settings'

/** The trimmed texts of the variables that are set; an empty variable counts as not set. */
export type FlatEnv = Partial<Record<Variable, string>>

export interface Quota {
  messages: Limit
  /** Of bodies. */
  bytes: Limit
}

/** The most that may be stored for a recipient, and from a sender. */
export interface Quotas {
  inbox: Quota
  sender: Quota
}

export interface PushConfig {
  enabled: boolean
  /** The boxes whose messages devices are notified of. */
  boxes: string[]
  /** The account at Google, and its project. Both are set if push is enabled. */
  account?: ServiceAccount
  projectId?: string
}

export interface Config {
  env: Environment
  /** How many processes serve. `MessageBoxServer` is always one. */
  workers: number
  http: {
    port: number
    /** Comes before all routes except the handshake: '' or '/api', without a slash at its end. */
    prefix: string
    hostingDomain?: string
    trustProxy: TrustProxy
    maxBodyBytes: number
    shutdownTimeoutMs: number
    /** How long a stopping server keeps idle connections. No variable sets it. */
    idleGraceMs: number
  }
  auth: {
    /** 64 hex digits. Undefined only in development and test: each run then makes a key. */
    privateKey?: Secret
  }
  network: Network
  db: DatabaseConfig
  redis: { url?: Secret }
  mailbox: {
    /** The most bytes of an answer of /listMessages, unless a single message has more. */
    maxPageBytes: number
    quotas: Quotas
    /** Permission rules of one recipient. */
    maxRules: Limit
    /** The age at which an unacknowledged message is removed; undefined keeps it. */
    retentionMs: Limit
  }
  limits: {
    /** Points a minute: a request costs one, or more if it is large. */
    perAddress: Limit
    perIdentity: Limit
    /** Seconds a minute that transactions of one address may take to verify. */
    verificationSeconds: Limit
    /** Requests processed at once. */
    concurrent: Limit
    /** TCP connections of one address. */
    connections: Limit
    socketsPerAddress: Limit
    socketsPerIdentity: Limit
  }
  /** Bytes of requests that wait to be processed, and of answers that wait to be read. */
  memory: { incoming: number; outgoing: number }
  live: { enabled: boolean }
  /** Lookup and submission for the overlay network. */
  overlay: { enabled: boolean }
  /** Whether the server advertises itself on the overlay network. */
  advertise: boolean
  push: PushConfig
  pages: { try: boolean }
  log: { level: LogLevel; pretty: boolean }
  metrics: { port?: number; host: string }
  tracing: { endpoint?: string }
  /** The server's price of a delivery, in satoshis by box name. */
  deliveryFees: DeliveryFees
  payments: {
    /** Undefined if the network has no public service and none is set. */
    chaintracksUrl?: string
    arcUrl?: string
    arcApiKey?: Secret
  }
  walletStorage: { url?: string }
  migrate: { key?: Secret; onStart: boolean }
}

/** A setting, or a combination of settings, that cannot be used. */
export interface ConfigProblem {
  /** The variables to look at, the wrong one first. */
  variables: Variable[]
  code: 'invalid' | 'required' | 'conflict'
  /** A sentence without its full stop that begins with the first variable. */
  text: string
}

/** A configuration that cannot be used, with every problem. */
export class ConfigError extends Error {
  constructor(readonly problems: ConfigProblem[]) {
    super(
      `The configuration has ${problems.length === 1 ? 'a' : problems.length} ` +
        `problem${problems.length === 1 ? '' : 's'}:\n` +
        problems.map(({ text }) => `  - ${text}`).join('\n') +
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
 * @throws ConfigError that lists every problem
 */
export function parseConfig(flat: FlatEnv): Config {
  const { config, problems } = inspectConfig(flat)
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/** As `parseConfig`, but returns the problems; a setting that cannot be used has its default. */
export function inspectConfig(flat: FlatEnv): { config: Config; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = []
  const read = <N extends Variable>(name: N): Value<N> => {
    const { parse, default: usual } = SETTINGS[name] as Setting
    const value = flat[name]
    try {
      if (value !== undefined) return parse(value) as Value<N>
    } catch (error) {
      const text = `${name} ${(error as Error).message}`
      problems.push({ variables: [name], code: 'invalid', text })
    }
    return (usual === undefined ? undefined : parse(usual)) as Value<N>
  }

  const env = read('NODE_ENV')
  const isLocal = env === 'development' || env === 'test'
  const [port, httpPort] = [read('PORT'), read('HTTP_PORT')]
  const [network, otherNetwork] = [read('NETWORK'), read('BSV_NETWORK')]
  const chain = network ?? otherNetwork ?? 'main'
  const maxBodyBytes = read('MAX_BODY_SIZE')
  const maxPageBytes = read('MAX_PAGE_BYTES')
  const largest = largestAnswer(maxPageBytes, maxBodyBytes)
  const [logging, level] = [read('LOGGING_ENABLED'), read('LOG_LEVEL')]
  const [given, fromFile] = [
    read('FIREBASE_SERVICE_ACCOUNT_JSON'),
    read('FIREBASE_SERVICE_ACCOUNT_PATH'),
  ]
  const account = given ?? fromFile
  const config: Config = {
    env,
    workers: read('WORKERS'),
    http: {
      port: port ?? httpPort ?? (isLocal ? 8080 : 3000),
      prefix: read('ROUTING_PREFIX'),
      hostingDomain: read('HOSTING_DOMAIN'),
      trustProxy: read('TRUST_PROXY'),
      maxBodyBytes,
      shutdownTimeoutMs: read('SHUTDOWN_TIMEOUT'),
      idleGraceMs: IDLE_GRACE_MS,
    },
    auth: { privateKey: read('SERVER_PRIVATE_KEY') },
    network: chain,
    db: toDatabase(
      read('KNEX_DB_CLIENT'),
      read('KNEX_DB_CONNECTION'),
      flat.KNEX_DB_CONNECTION !== undefined,
      (text) => {
        const variables: Variable[] = ['KNEX_DB_CONNECTION', 'KNEX_DB_CLIENT']
        problems.push({ variables, code: 'conflict', text })
      },
    ),
    redis: { url: read('REDIS_URL') },
    mailbox: {
      maxPageBytes,
      quotas: {
        inbox: { messages: read('INBOX_QUOTA_MESSAGES'), bytes: read('INBOX_QUOTA_BYTES') },
        sender: { messages: read('SENDER_QUOTA_MESSAGES'), bytes: read('SENDER_QUOTA_BYTES') },
      },
      maxRules: read('RULE_QUOTA'),
      retentionMs: read('MESSAGE_RETENTION_DAYS'),
    },
    limits: {
      perAddress: read('RATE_LIMIT_ADDRESS'),
      perIdentity: read('RATE_LIMIT_IDENTITY'),
      verificationSeconds: read('VERIFICATION_SECONDS'),
      concurrent: read('MAX_CONCURRENT_REQUESTS'),
      connections: read('MAX_CONNECTIONS_ADDRESS'),
      socketsPerAddress: read('MAX_SOCKETS_ADDRESS'),
      socketsPerIdentity: read('MAX_SOCKETS_IDENTITY'),
    },
    memory: {
      incoming: read('INCOMING_MEMORY') ?? Math.max(128 * MIB, 2 * maxBodyBytes),
      outgoing: read('OUTGOING_MEMORY') ?? Math.max(128 * MIB, 2 * largest),
    },
    live: { enabled: read('ENABLE_WEBSOCKETS') },
    overlay: { enabled: read('ENABLE_OVERLAY') ?? env === 'development' },
    advertise: read('ADVERTISE'),
    push: {
      enabled: read('ENABLE_FIREBASE'),
      boxes: read('PUSH_BOXES'),
      account,
      projectId: read('FIREBASE_PROJECT_ID') ?? account?.projectId,
    },
    pages: { try: read('ENABLE_TRY') ?? env === 'development' },
    log: { level: level ?? (logging ? 'debug' : 'info'), pretty: env === 'development' },
    metrics: { port: read('METRICS_PORT'), host: read('METRICS_HOST') },
    tracing: { endpoint: read('OTEL_EXPORTER_OTLP_ENDPOINT') },
    deliveryFees: read('DELIVERY_FEES') ?? {},
    payments: {
      chaintracksUrl: read('CHAINTRACKS_URL') ?? PUBLIC_SERVICES[chain].chaintracksUrl,
      arcUrl: read('ARC_URL') ?? PUBLIC_SERVICES[chain].arcUrl,
      arcApiKey: read('ARC_API_KEY'),
    },
    walletStorage: { url: read('WALLET_STORAGE_URL') },
    migrate: { key: read('MIGRATE_KEY'), onStart: read('MIGRATE_ON_START') },
  }
  for (const [isBroken, code, variables, text] of rulesOf(flat, config, isLocal))
    if (isBroken) problems.push({ variables, code, text: `${variables[0]!} ${text}` })
  return { config, problems }
}

type Rule = [isBroken: boolean, code: ConfigProblem['code'], variables: Variable[], text: string]

/** What settings need of each other. */
function rulesOf(flat: FlatEnv, config: Config, isLocal: boolean): Rule[] {
  const { http, mailbox, memory, payments, push } = config
  const { hostingDomain = '', maxBodyBytes, prefix } = http
  const largest = largestAnswer(mailbox.maxPageBytes, maxBodyBytes)
  const advertising = config.advertise
  const isUnset = (name: Variable): boolean => flat[name] === undefined
  return [
    [
      !isLocal && isUnset('SERVER_PRIVATE_KEY'),
      'required',
      ['SERVER_PRIVATE_KEY'],
      'is required outside development and test: make one with "npm run keygen"',
    ],
    [
      config.workers > 1 &&
        config.db.client === 'better-sqlite3' &&
        // Its connection is missing, which is a problem of its own.
        !/^mysql/.test(flat.KNEX_DB_CLIENT ?? ''),
      'conflict',
      ['WORKERS'],
      'must be 1 with SQLite, which supports one process: set WORKERS=1, ' +
        'or use MySQL or MariaDB (KNEX_DB_CLIENT=mysql2)',
    ],
    [
      memory.outgoing < largest * MEMORY_FACTOR,
      'conflict',
      ['OUTGOING_MEMORY', 'MAX_PAGE_BYTES', 'MAX_BODY_SIZE'],
      'must be at least one and a half times MAX_PAGE_BYTES and three times MAX_BODY_SIZE, ' +
        'or stored messages could not be listed',
    ],
    [
      memory.incoming < maxBodyBytes * MEMORY_FACTOR,
      'conflict',
      ['INCOMING_MEMORY', 'MAX_BODY_SIZE'],
      'must be at least one and a half times MAX_BODY_SIZE: a body needs that much as it arrives',
    ],
    [
      push.enabled &&
        isUnset('FIREBASE_SERVICE_ACCOUNT_JSON') &&
        isUnset('FIREBASE_SERVICE_ACCOUNT_PATH'),
      'required',
      ['FIREBASE_SERVICE_ACCOUNT_JSON', 'FIREBASE_SERVICE_ACCOUNT_PATH', 'ENABLE_FIREBASE'],
      'or FIREBASE_SERVICE_ACCOUNT_PATH is required with ENABLE_FIREBASE=true',
    ],
    [
      push.enabled &&
        push.account !== undefined &&
        push.projectId === undefined &&
        isUnset('FIREBASE_PROJECT_ID'),
      'required',
      ['FIREBASE_PROJECT_ID'],
      'is required, since the service account names no project',
    ],
    [
      advertising && !isAdvertisable(hostingDomain),
      'conflict',
      ['HOSTING_DOMAIN', 'ADVERTISE'],
      'must be an https address with nothing behind the host, such as https://box.example.com, ' +
        'to advertise the server',
    ],
    [
      // Clients append their paths to the advertised address.
      advertising && prefix !== '',
      'conflict',
      ['ROUTING_PREFIX', 'HOSTING_DOMAIN', 'ADVERTISE'],
      'must not be set to advertise the server: its messages go to HOSTING_DOMAIN without it',
    ],
    [
      advertising && isLocal && isUnset('SERVER_PRIVATE_KEY'),
      'required',
      ['SERVER_PRIVATE_KEY', 'ADVERTISE'],
      'is required to advertise the server: without it the identity ends with this run',
    ],
    [
      advertising && isUnset('WALLET_STORAGE_URL'),
      'required',
      ['WALLET_STORAGE_URL', 'ADVERTISE'],
      "is required to advertise the server: the server's wallet pays for advertisements",
    ],
    [
      advertising && (payments.chaintracksUrl === undefined || payments.arcUrl === undefined),
      'required',
      ['CHAINTRACKS_URL', 'ARC_URL', 'ADVERTISE'],
      'and ARC_URL are required to advertise the server on a local network',
    ],
  ]
}

function isAdvertisable(address: string): boolean {
  if (!URL.canParse(address)) return false
  const { protocol, hostname, origin } = new URL(address)
  return protocol === 'https:' && hostname !== 'localhost' && address.toLowerCase() === origin
}

/** Enough for a request that a client sent before it learned of the stop. */
const IDLE_GRACE_MS = 500

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
