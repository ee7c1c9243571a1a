/** Declares every setting of the server: its parser, its default, and what it means. */
import { Secret } from '../lib/secret'
import { parseClient, parseConnection } from './database'
import {
  createDurationParser,
  createLimitParser,
  createSizeParser,
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
  parseWorkers,
} from './parsers'
import { parseServiceAccount, readServiceAccount } from './serviceAccount'

export interface Setting<T = unknown> {
  /** Reads the variable's text. Throws an Error whose message continues the variable's name. */
  parse: (value: string) => T
  /** The value, as text, if the variable is not set. */
  default?: string
  /** What .env.example shows if the default depends on other settings. */
  usual?: string
  /** The value that .env.example sets. */
  example?: string
  /** What it means; code is in backticks. */
  meaning: string
  /** The document that says more, as a Markdown link from docs/. */
  more?: string
}

const COUNT_OR_OFF = createLimitParser(parseCount)
const STORED_BYTES = createLimitParser(createSizeParser('1b', '1024tb'))
const BODY_BYTES = createSizeParser('1kb', '100mb')
const MEMORY_BYTES = createSizeParser('16mb', '64gb')

/** The settings in their order in .env.example, by group. */
export const GROUPS = {
  Server: {
    NODE_ENV: {
      parse: parseEnvironment,
      default: 'development',
      example: 'development',
      meaning: '`development`, `staging`, `production` or `test`.',
    },
    PORT: {
      parse: parsePort,
      usual: '8080',
      meaning: 'The port to listen on: 8080, or 3000 in production and staging.',
    },
    HTTP_PORT: { parse: parsePort, usual: '8080', meaning: 'The port if `PORT` is not set.' },
    ROUTING_PREFIX: {
      parse: parsePrefix,
      default: '',
      meaning: 'A path before all HTTP and socket routes except the handshake, such as `/api`.',
    },
    HOSTING_DOMAIN: {
      parse: parseUrl,
      meaning:
        'The public address of this server, such as `https://box.example.com`. ' +
        'The start and `/info` show it.',
    },
    TRUST_PROXY: {
      parse: parseTrustProxy,
      default: 'false',
      meaning:
        'The proxies whose X-Forwarded-For header the server believes: how many there are ' +
        '(`true` is one), or their addresses, such as `10.0.0.0/8, loopback`.',
    },
    SERVER_PRIVATE_KEY: {
      parse: parsePrivateKey,
      meaning:
        "The server's private key: 64 hex digits, from `npm run keygen`. Required in production " +
        'and staging. Keep it: the identity and all sessions depend on it.',
    },
    WORKERS: {
      parse: parseWorkers,
      default: '1',
      meaning:
        'How many processes serve on the port, from 1 to 128; `auto` is one for each core. ' +
        'More than 1 needs MySQL or MariaDB.',
      more: '[Every core](scaling.md#every-core-of-one-machine)',
    },
    SHUTDOWN_TIMEOUT: {
      parse: createDurationParser('1 second', '10 minutes', '"30 seconds"'),
      default: '10 seconds',
      meaning:
        'How long a stop may take to answer requests that are in progress, from 1 second to ' +
        '10 minutes.',
    },
    ENABLE_TRY: {
      parse: parseBoolean,
      usual: 'true',
      meaning:
        '`true` serves `/try`, an inbox in the browser. The default is `true` in development, ' +
        'else `false`.',
    },
  },
  Database: {
    KNEX_DB_CLIENT: {
      parse: parseClient,
      meaning:
        '`mysql2` (or `mysql`) or `better-sqlite3`. The default is `mysql2` if ' +
        '`KNEX_DB_CONNECTION` is set.',
    },
    KNEX_DB_CONNECTION: {
      parse: parseConnection,
      meaning:
        'The connection as JSON, such as {"host":"127.0.0.1","user":"messagebox",' +
        '"password":"…","database":"messagebox"}. Without it: SQLite in `data/messagebox.sqlite`.',
      more: '[Deploying](../DEPLOYING.md)',
    },
    MIGRATE_ON_START: {
      parse: parseBoolean,
      default: 'true',
      meaning:
        '`false` leaves the schema alone at start: `npm run migrate` or `POST /migrate` brings ' +
        'it up to date.',
    },
    MIGRATE_KEY: {
      parse: parseMigrateKey,
      meaning:
        'The key of `POST /migrate`, longer than 10 characters. Without it there is no such route.',
    },
    REDIS_URL: {
      parse: parseRedisUrl,
      meaning: 'The Redis that several nodes share, such as `redis://127.0.0.1:6379`.',
      more: '[Many nodes](scaling.md)',
    },
  },
  'Live messages and push': {
    ENABLE_WEBSOCKETS: {
      parse: parseBoolean,
      default: 'false',
      example: 'true',
      meaning: '`true` enables live messages over the socket.',
      more: '[Live messages](live.md)',
    },
    ENABLE_FIREBASE: {
      parse: parseBoolean,
      default: 'false',
      meaning:
        '`true` notifies registered devices of messages through Firebase Cloud Messaging. It ' +
        'needs a service account.',
    },
    FIREBASE_SERVICE_ACCOUNT_JSON: {
      parse: parseServiceAccount,
      meaning: 'The JSON of a service account of the Firebase project.',
    },
    FIREBASE_SERVICE_ACCOUNT_PATH: {
      parse: readServiceAccount,
      meaning: 'A file with that JSON, if `FIREBASE_SERVICE_ACCOUNT_JSON` is not set.',
    },
    FIREBASE_PROJECT_ID: {
      parse: parseProject,
      meaning: 'The id of the Firebase project. The default is the one in the service account.',
    },
    PUSH_BOXES: {
      parse: parseBoxes,
      default: 'notifications',
      meaning: 'The boxes whose messages devices are notified of, such as `notifications,letters`.',
    },
  },
  'Payments and overlay network': {
    NETWORK: {
      parse: parseNetwork,
      usual: 'main',
      meaning: '`main` (or `mainnet`), `test` (or `testnet`) or `local` (or `regtest`).',
    },
    BSV_NETWORK: {
      parse: parseNetwork,
      usual: 'main',
      meaning: 'The network if `NETWORK` is not set.',
    },
    DELIVERY_FEES: {
      parse: parseFees,
      meaning:
        'What a delivery costs, in satoshis by box name, such as `notifications=10,letters=5`.',
      more: '[Payments](payments.md)',
    },
    CHAINTRACKS_URL: {
      parse: parseUrl,
      meaning:
        "The service that block headers are read from. The default is Babbage's for `main` and " +
        '`test`, and none for `local`.',
    },
    ARC_URL: {
      parse: parseUrl,
      meaning:
        "The ARC that transactions are broadcast to. The default is GorillaPool's for `main` " +
        'and `test`, and none for `local`.',
    },
    ARC_API_KEY: { parse: (value: string) => new Secret(value), meaning: 'The key for that ARC.' },
    WALLET_STORAGE_URL: {
      parse: parseUrl,
      meaning:
        "The storage of the server's wallet, which receives payments, such as " +
        '`https://storage.example.com`.',
    },
    ENABLE_OVERLAY: {
      parse: parseBoolean,
      usual: 'true',
      meaning:
        '`true` makes the server a node of the overlay network, which finds the hosts of ' +
        'identities. The default is `true` in development, else `false`.',
      more: '[The overlay network](overlay.md)',
    },
    ADVERTISE: {
      parse: parseBoolean,
      default: 'false',
      meaning:
        "`true` lets the server's wallet advertise the server. It needs `HOSTING_DOMAIN`, " +
        '`WALLET_STORAGE_URL` and money.',
    },
  },
  'Logs, metrics and traces': {
    LOG_LEVEL: {
      parse: parseLogLevel,
      usual: 'info',
      meaning: '`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.',
    },
    LOGGING_ENABLED: {
      parse: parseBoolean,
      default: 'false',
      meaning: '`true` sets the level to `debug` if `LOG_LEVEL` is not set.',
    },
    METRICS_PORT: {
      parse: parsePort,
      meaning: 'The port of the metrics for Prometheus, at `/metrics`, such as `9464`.',
    },
    METRICS_HOST: {
      parse: parseHost,
      default: '127.0.0.1',
      meaning: 'The address that the metrics listen on.',
    },
    OTEL_EXPORTER_OTLP_ENDPOINT: {
      parse: parseEndpoint,
      meaning: 'Where traces are sent, by OTLP over HTTP, such as `http://localhost:4318`.',
    },
  },
  Limits: {
    MAX_BODY_SIZE: {
      parse: BODY_BYTES,
      default: '10mb',
      meaning: 'The largest request body, from 1kb to 100mb.',
    },
    MAX_PAGE_BYTES: {
      parse: BODY_BYTES,
      default: '4000kb',
      meaning:
        'The most bytes of one page of a list as it is sent, from 1kb to 100mb. A larger message ' +
        'makes a page of its own. Some newer clients accept no more than the default.',
    },
    RATE_LIMIT_ADDRESS: {
      parse: COUNT_OR_OFF,
      default: '1200',
      meaning:
        'Requests a minute from one address (for IPv6, from one network of 64 bits), or `off`. ' +
        'Large requests and socket events count as several.',
    },
    RATE_LIMIT_IDENTITY: {
      parse: COUNT_OR_OFF,
      default: '3000',
      meaning:
        'Requests a minute from one identity, or `off`. Large requests and socket events count ' +
        'as several.',
    },
    VERIFICATION_SECONDS: {
      parse: COUNT_OR_OFF,
      default: '20',
      meaning:
        'Seconds a minute that the payments and advertisements of one address may take to ' +
        'verify, or `off`.',
    },
    INBOX_QUOTA_MESSAGES: {
      parse: COUNT_OR_OFF,
      default: '10000',
      meaning: 'Messages stored for one recipient, in all boxes together, or `off`.',
    },
    INBOX_QUOTA_BYTES: {
      parse: STORED_BYTES,
      default: '1gb',
      meaning: 'Bytes of bodies stored for one recipient, or `off`.',
    },
    SENDER_QUOTA_MESSAGES: {
      parse: COUNT_OR_OFF,
      default: '10000',
      meaning: 'Messages of one sender that are stored, or `off`.',
    },
    SENDER_QUOTA_BYTES: {
      parse: STORED_BYTES,
      default: '1gb',
      meaning: 'Bytes of bodies of one sender that are stored, or `off`.',
    },
    RULE_QUOTA: {
      parse: COUNT_OR_OFF,
      default: '10000',
      meaning: 'Permission rules of one recipient, or `off`.',
    },
    MAX_CONCURRENT_REQUESTS: {
      parse: COUNT_OR_OFF,
      default: '500',
      meaning: 'Requests processed at once, or `off`. Further ones are answered with 503.',
    },
    MAX_CONNECTIONS_ADDRESS: {
      parse: COUNT_OR_OFF,
      default: '4000',
      meaning: 'TCP connections of one address, or `off`. Those of trusted proxies do not count.',
    },
    MAX_SOCKETS_ADDRESS: {
      parse: COUNT_OR_OFF,
      default: '2000',
      meaning: 'Live sockets of one address, or `off`.',
    },
    MAX_SOCKETS_IDENTITY: {
      parse: COUNT_OR_OFF,
      default: '50',
      meaning: 'Live sockets of one identity, or `off`. A new one closes the oldest.',
    },
    INCOMING_MEMORY: {
      parse: MEMORY_BYTES,
      usual: '128mb',
      meaning:
        'Memory for requests and frames that wait to be processed, from 16mb to 64gb, and at ' +
        'least one and a half times `MAX_BODY_SIZE`. One address may use a quarter, or one and ' +
        'a half bodies if that is more.',
    },
    OUTGOING_MEMORY: {
      parse: MEMORY_BYTES,
      usual: '128mb',
      meaning:
        'Memory for answers and events that clients have not read yet, from 16mb to 64gb, at ' +
        'least three times `MAX_BODY_SIZE` and one and a half times `MAX_PAGE_BYTES`. One ' +
        'address or identity may use a quarter, or the largest answer if that is more.',
    },
    MESSAGE_RETENTION_DAYS: {
      parse: createLimitParser(parseDays),
      default: 'off',
      meaning: 'Days after which an unacknowledged message is removed, or `off`.',
    },
  },
} satisfies Record<string, Record<string, Setting>>

type Groups = typeof GROUPS
type Merge<U> = (U extends unknown ? (part: U) => void : never) extends (all: infer I) => void
  ? I
  : never
type Settings = Merge<Groups[keyof Groups]>

export type Variable = keyof Settings

export const SETTINGS = Object.assign({}, ...Object.values(GROUPS)) as Settings

/** The names of the variables, in their order in .env.example. */
export const VARIABLES = Object.keys(SETTINGS) as Variable[]

/** What a setting's parser returns; undefined if the variable is not set and has no default. */
export type Value<N extends Variable> =
  ReturnType<Settings[N]['parse']> | (Settings[N] extends { default: string } ? never : undefined)
