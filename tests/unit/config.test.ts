import { describe, expect, test } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import {
  ConfigError,
  parseConfig,
  readEnv,
  VARIABLES,
  type Config,
  type FlatEnv,
} from '../../src/config'
import { renderConfigurationPage, renderEnvExample } from '../../src/config/documents'

const KEY = '0123456789abcdef'.repeat(4)
const ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'
const DAY = 24 * 60 * 60 * 1000
const GIB = 1024 ** 3
const ACCOUNT = {
  client_email: 'push@a-project.iam.gserviceaccount.com',
  private_key: generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey,
}
const MYSQL = '{"host":"db","user":"u","password":"p","database":"messagebox"}'

function problemsOf(flat: FlatEnv): string[] {
  try {
    parseConfig(flat)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).problems.map(({ text }) => text)
  }
}

function messageOf(flat: FlatEnv): string {
  try {
    parseConfig(flat)
  } catch (error) {
    return (error as ConfigError).message
  }
  throw new Error('It can be used.')
}

test('without any settings: SQLite, port 8080, development', () => {
  expect(parseConfig({})).toEqual({
    env: 'development',
    workers: 1,
    http: {
      port: 8080,
      prefix: '',
      hostingDomain: undefined,
      trustProxy: 0,
      maxBodyBytes: 10 * 1024 * 1024,
      shutdownTimeoutMs: 10_000,
      idleGraceMs: 500,
    },
    auth: { privateKey: undefined },
    network: 'main',
    db: { client: 'better-sqlite3', connection: { filename: 'data/messagebox.sqlite' } },
    redis: { url: undefined },
    mailbox: {
      maxPageBytes: 4000 * 1024,
      quotas: { inbox: { messages: 10_000, bytes: GIB }, sender: { messages: 10_000, bytes: GIB } },
      maxRules: 10_000,
      retentionMs: undefined,
    },
    limits: {
      perAddress: 1200,
      perIdentity: 3000,
      verificationSeconds: 20,
      concurrent: 500,
      connections: 4000,
      socketsPerAddress: 2000,
      socketsPerIdentity: 50,
    },
    memory: { incoming: 128 * 1024 * 1024, outgoing: 128 * 1024 * 1024 },
    live: { enabled: false },
    overlay: { enabled: true },
    advertise: false,
    push: { enabled: false, boxes: ['notifications'], account: undefined, projectId: undefined },
    pages: { try: true },
    log: { level: 'info', pretty: true },
    metrics: { port: undefined, host: '127.0.0.1' },
    tracing: { endpoint: undefined },
    deliveryFees: {},
    payments: {
      chaintracksUrl: 'https://mainnet-chaintracks.babbage.systems',
      arcUrl: 'https://arc.gorillapool.io',
      arcApiKey: undefined,
    },
    walletStorage: { url: undefined },
    migrate: { key: undefined, onStart: true },
  })
})

test('.env.example and docs/configuration.md are up to date: npm run build', () => {
  const read = (path: string): string => readFileSync(join(__dirname, '../..', path), 'utf8')
  expect(read('.env.example')).toBe(renderEnvExample())
  expect(read('docs/configuration.md')).toBe(renderConfigurationPage())
})

test('.env.example has every variable and is valid without changes', () => {
  const settings = Object.fromEntries(
    [...renderEnvExample().matchAll(/^(?:# )?([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [
      name,
      value,
    ]),
  )
  expect(Object.keys(settings)).toEqual([...VARIABLES])

  const withDefaults = readEnv(settings)
  expect(parseConfig(withDefaults)).toEqual(parseConfig({ ENABLE_WEBSOCKETS: 'true' }))
})

test("readEnv reads this server's variables, trimmed; blank values count as not set", () => {
  expect(
    readEnv({ PORT: ' 81 ', HTTP_PORT: '', NETWORK: ' \t', PATH: '/bin', port: '82' }),
  ).toEqual({ PORT: '81' })
  expect(readEnv({})).toEqual({})
})

describe('valid values', () => {
  test.each<[FlatEnv, (config: Config) => unknown, unknown]>([
    [
      { NODE_ENV: 'test' },
      (config) => [config.env, config.log.pretty, config.http.port],
      ['test', false, 8080],
    ],
    [
      { NODE_ENV: 'staging', SERVER_PRIVATE_KEY: KEY },
      (config) => [config.env, config.http.port],
      ['staging', 3000],
    ],
    [
      { NODE_ENV: 'production', SERVER_PRIVATE_KEY: KEY },
      (config) => [config.env, config.log.pretty, config.http.port],
      ['production', false, 3000],
    ],
    [
      { NODE_ENV: 'production', SERVER_PRIVATE_KEY: KEY, PORT: '8080' },
      (config) => config.http.port,
      8080,
    ],
    [
      { NODE_ENV: 'production', SERVER_PRIVATE_KEY: KEY, HTTP_PORT: '8081' },
      (config) => config.http.port,
      8081,
    ],
    [{ PORT: '1', HTTP_PORT: '2' }, (config) => config.http.port, 1],
    [{ PORT: '0' }, (config) => config.http.port, 0],
    [{ HTTP_PORT: '65535' }, (config) => config.http.port, 65535],
    [{ ROUTING_PREFIX: '/api' }, (config) => config.http.prefix, '/api'],
    [{ ROUTING_PREFIX: '/api/v1//' }, (config) => config.http.prefix, '/api/v1'],
    [{ ROUTING_PREFIX: '/' }, (config) => config.http.prefix, ''],
    [
      { HOSTING_DOMAIN: 'https://box.example.com/' },
      (config) => config.http.hostingDomain,
      'https://box.example.com',
    ],
    [{ SERVER_PRIVATE_KEY: KEY.toUpperCase() }, (config) => config.auth.privateKey?.reveal(), KEY],
    [
      { SERVER_PRIVATE_KEY: `${'0'.repeat(63)}1` },
      (config) => config.auth.privateKey?.reveal(),
      `${'0'.repeat(63)}1`,
    ],
    [
      { SERVER_PRIVATE_KEY: `${ORDER.slice(0, -1)}0` },
      (config) => config.auth.privateKey?.reveal(),
      `${ORDER.slice(0, -1)}0`,
    ],
    [
      { WALLET_STORAGE_URL: 'http://localhost:1' },
      (config) => config.walletStorage.url,
      'http://localhost:1',
    ],
    ...['main', 'mainnet', 'MAIN'].map(
      (name) =>
        [{ NETWORK: name }, (config) => config.network, 'main'] as [
          FlatEnv,
          (config: Config) => unknown,
          unknown,
        ],
    ),
    ...['test', 'testnet', 'Testnet'].map(
      (name) =>
        [{ NETWORK: name }, (config) => config.network, 'test'] as [
          FlatEnv,
          (config: Config) => unknown,
          unknown,
        ],
    ),
    ...['regtest', 'local'].map(
      (name) =>
        [{ BSV_NETWORK: name }, (config) => config.network, 'local'] as [
          FlatEnv,
          (config: Config) => unknown,
          unknown,
        ],
    ),
    [{ NETWORK: 'test', BSV_NETWORK: 'local' }, (config) => config.network, 'test'],
    [
      { NETWORK: 'local' },
      (config) => config.payments,
      { chaintracksUrl: undefined, arcUrl: undefined, arcApiKey: undefined },
    ],
    [
      { NETWORK: 'test', ARC_URL: 'http://localhost:1/' },
      (config) => config.payments,
      {
        chaintracksUrl: 'https://testnet-chaintracks.babbage.systems',
        arcUrl: 'http://localhost:1',
        arcApiKey: undefined,
      },
    ],
    [
      { DELIVERY_FEES: 'notifications=10, a box = 5,c-d=0' },
      (config) => config.deliveryFees,
      { notifications: 10, 'a box': 5, 'c-d': 0 },
    ],
    [
      { KNEX_DB_CONNECTION: MYSQL },
      (config) => config.db,
      { client: 'mysql2', connection: JSON.parse(MYSQL) as object },
    ],
    [
      { KNEX_DB_CLIENT: 'mysql', KNEX_DB_CONNECTION: MYSQL },
      (config) => config.db.client,
      'mysql2',
    ],
    [
      { KNEX_DB_CLIENT: 'better-sqlite3' },
      (config) => config.db.connection.filename,
      'data/messagebox.sqlite',
    ],
    [
      { KNEX_DB_CLIENT: 'better-sqlite3', KNEX_DB_CONNECTION: '{"filename":"x"}' },
      (config) => config.db,
      { client: 'better-sqlite3', connection: { filename: 'x' } },
    ],
    [{ ENABLE_WEBSOCKETS: 'true' }, (config) => config.live.enabled, true],
    [{ ENABLE_WEBSOCKETS: 'false' }, (config) => config.live.enabled, false],
    [{ NODE_ENV: 'test' }, (config) => config.overlay.enabled, false],
    [{ NODE_ENV: 'test', ENABLE_OVERLAY: 'true' }, (config) => config.overlay.enabled, true],
    [{ ENABLE_OVERLAY: 'false' }, (config) => config.overlay.enabled, false],
    ...['development', 'test', 'staging', 'production'].map(
      (name) =>
        [
          { NODE_ENV: name, SERVER_PRIVATE_KEY: KEY },
          (config) => config.pages.try,
          name === 'development',
        ] as [FlatEnv, (config: Config) => unknown, unknown],
    ),
    [
      { NODE_ENV: 'production', SERVER_PRIVATE_KEY: KEY, ENABLE_TRY: 'true' },
      (config) => config.pages.try,
      true,
    ],
    [{ LOGGING_ENABLED: 'true' }, (config) => config.log.level, 'debug'],
    [{ LOGGING_ENABLED: 'true', LOG_LEVEL: 'warn' }, (config) => config.log.level, 'warn'],
    [{ TRUST_PROXY: 'true' }, (config) => config.http.trustProxy, 1],
    [{ TRUST_PROXY: 'false' }, (config) => config.http.trustProxy, 0],
    [{ TRUST_PROXY: '2' }, (config) => config.http.trustProxy, 2],
    [
      { TRUST_PROXY: 'loopback, 10.0.0.0/8,fd00::/8, 192.0.2.1' },
      (config) => config.http.trustProxy,
      ['loopback', '10.0.0.0/8', 'fd00::/8', '192.0.2.1'],
    ],
    [
      { REDIS_URL: 'rediss://u:p@redis:6380/1' },
      (config) => config.redis.url?.reveal(),
      'rediss://u:p@redis:6380/1',
    ],
    [
      { PUSH_BOXES: 'notifications, letters,notifications' },
      (config) => config.push.boxes,
      ['notifications', 'letters'],
    ],
    [
      {
        ENABLE_FIREBASE: 'true',
        FIREBASE_SERVICE_ACCOUNT_JSON: JSON.stringify({ ...ACCOUNT, project_id: 'its-own' }),
      },
      ({ push }) => [
        push.enabled,
        push.projectId,
        push.account?.clientEmail,
        push.account?.privateKey.reveal(),
      ],
      [true, 'its-own', ACCOUNT.client_email, ACCOUNT.private_key],
    ],
    [
      {
        ENABLE_FIREBASE: 'true',
        FIREBASE_SERVICE_ACCOUNT_JSON: JSON.stringify({ ...ACCOUNT, project_id: 'its-own' }),
        FIREBASE_PROJECT_ID: 'another',
      },
      (config) => config.push.projectId,
      'another',
    ],
    [
      { METRICS_PORT: '9464', METRICS_HOST: '::' },
      (config) => config.metrics,
      { port: 9464, host: '::' },
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318/' },
      (config) => config.tracing.endpoint,
      'http://localhost:4318',
    ],
    [{ MIGRATE_ON_START: 'false' }, (config) => config.migrate.onStart, false],
    [{ SHUTDOWN_TIMEOUT: '30 seconds' }, (config) => config.http.shutdownTimeoutMs, 30_000],
    [{ SHUTDOWN_TIMEOUT: '5' }, (config) => config.http.shutdownTimeoutMs, 5000],
    [
      { RATE_LIMIT_ADDRESS: 'off', RATE_LIMIT_IDENTITY: '1', MAX_CONCURRENT_REQUESTS: 'off' },
      ({ limits: { perAddress, perIdentity, concurrent } }) => ({
        perAddress,
        perIdentity,
        concurrent,
      }),
      { perAddress: undefined, perIdentity: 1, concurrent: undefined },
    ],
    [
      {
        INBOX_QUOTA_MESSAGES: 'off',
        INBOX_QUOTA_BYTES: '1tb',
        SENDER_QUOTA_MESSAGES: '5',
        SENDER_QUOTA_BYTES: 'off',
      },
      (config) => config.mailbox.quotas,
      {
        inbox: { messages: undefined, bytes: 1024 * GIB },
        sender: { messages: 5, bytes: undefined },
      },
    ],
    [{ MESSAGE_RETENTION_DAYS: '90' }, (config) => config.mailbox.retentionMs, 90 * DAY],
    [{ MESSAGE_RETENTION_DAYS: '0.5' }, (config) => config.mailbox.retentionMs, DAY / 2],
    [{ MESSAGE_RETENTION_DAYS: 'off' }, (config) => config.mailbox.retentionMs, undefined],
    [{ MIGRATE_KEY: '12345678901' }, (config) => config.migrate.key?.reveal(), '12345678901'],
    [{ MAX_BODY_SIZE: '1kb' }, (config) => config.http.maxBodyBytes, 1024],
    [{ MAX_BODY_SIZE: '100 MB' }, (config) => config.http.maxBodyBytes, 100 * 1024 * 1024],
    [{ MAX_PAGE_BYTES: '5000' }, (config) => config.mailbox.maxPageBytes, 5000],
    [{ MAX_PAGE_BYTES: '5000b' }, (config) => config.mailbox.maxPageBytes, 5000],
  ])('%j', (flat, pick, wanted) => {
    expect(pick(parseConfig(flat))).toEqual(wanted)
  })
})

const BAD: Array<[variable: (typeof VARIABLES)[number], values: string[]]> = [
  ['NODE_ENV', ['prod', 'Production', 'toString']],
  ['PORT', ['-1', '65536', '80.5', '0x50', 'http', '1e3', '80 81']],
  ['HTTP_PORT', ['-1', '99999', 'http']],
  ['ROUTING_PREFIX', ['api', '/api?x', '/a b', '/a//b', '/{id}', '/*', '/:id', '/ä']],
  [
    'HOSTING_DOMAIN',
    [
      'box.example.com',
      'ftp://box.example.com',
      'https://',
      'localhost:8080',
      'https://me:password@box.example.com',
      'https://token@box.example.com',
    ],
  ],
  [
    'TRUST_PROXY',
    [
      'yes',
      '-1',
      '100',
      '10.0.0.0/33',
      '10.0.0.0/8/8',
      '300.0.0.1',
      'loopback;10.0.0.1',
      'proxy.example.com',
      '1,2',
    ],
  ],
  [
    'SERVER_PRIVATE_KEY',
    [
      KEY.slice(1),
      `${KEY}0`,
      `0x${KEY.slice(2)}`,
      KEY.replace('a', 'g'),
      '0'.repeat(64),
      ORDER,
      'f'.repeat(64),
    ],
  ],
  ['WALLET_STORAGE_URL', ['storage', 'wss://storage.example.com']],
  ['NETWORK', ['live', 'mainnet2', 'constructor']],
  ['BSV_NETWORK', ['live', '1']],
  [
    'DELIVERY_FEES',
    [
      'notifications',
      'notifications=',
      'notifications=-1',
      'a=1,',
      'a=1,a=2',
      'a=1.5',
      '=5',
      'payment_inbox=1',
      'payment_requests=1,a=1',
    ],
  ],
  ['CHAINTRACKS_URL', ['chaintracks.example.com']],
  ['ARC_URL', ['arc.example.com', 'ws://arc.example.com']],
  ['KNEX_DB_CLIENT', ['postgres', 'MySQL', 'constructor', '__proto__']],
  [
    'KNEX_DB_CONNECTION',
    [
      'mysql://u:p@db/x',
      '{"host":"db"',
      '"db"',
      '[]',
      'null',
      '5',
      '{}',
      '{"host":"db"}',
      '{"database":5}',
    ],
  ],
  ['WORKERS', ['0', '-1', '129', '1.5', 'all', 'auto4']],
  ['REDIS_URL', ['127.0.0.1:6379', 'http://127.0.0.1', 'redis']],
  ['ENABLE_WEBSOCKETS', ['yes', '1', 'TRUE']],
  ['ENABLE_OVERLAY', ['yes', '1', 'on']],
  ['ADVERTISE', ['yes', '1', 'on']],
  ['ENABLE_FIREBASE', ['yes', '1']],
  [
    'FIREBASE_SERVICE_ACCOUNT_JSON',
    [
      '{',
      '5',
      'null',
      '[]',
      '{}',
      JSON.stringify({ client_email: 'me@example.com' }),
      JSON.stringify({ client_email: 'me@example.com', private_key: 'no key' }),
      JSON.stringify({ ...ACCOUNT, client_email: 5 }),
    ],
  ],
  ['FIREBASE_SERVICE_ACCOUNT_PATH', ['/nothing/is/here.json', tmpdir(), __filename]],
  ['FIREBASE_PROJECT_ID', ['my project', 'a/b', 'My-Project']],
  ['PUSH_BOXES', [',', 'a,', 'a, ,b', 'x'.repeat(256)]],
  ['ENABLE_TRY', ['yes', '1', 'TRUE']],
  ['LOGGING_ENABLED', ['on', '0']],
  ['LOG_LEVEL', ['verbose', 'INFO', 'constructor']],
  ['METRICS_PORT', ['-1', '65536', 'on']],
  ['METRICS_HOST', ['metrics.example.com', '0.0.0', '*']],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', ['localhost:4318', 'grpc://localhost:4317']],
  ['MIGRATE_KEY', ['1234567890']],
  ['MIGRATE_ON_START', ['no', '0']],
  [
    'SHUTDOWN_TIMEOUT',
    [
      '0',
      '11 minutes',
      '500ms',
      '-1 day',
      '5 fortnights',
      'constructor',
      '1.5 minutes',
      '1 minute 2 seconds',
      '60ss',
    ],
  ],
  ['MAX_BODY_SIZE', ['1023', '101mb', '10 gb', '-1kb', '1.5mb', 'mb', 'constructor']],
  ['MAX_PAGE_BYTES', ['0', '1e6', '200mb']],
  ['RATE_LIMIT_ADDRESS', ['0', '-1', '1.5', '1,200', 'none', '1e3', '9'.repeat(20)]],
  ['RATE_LIMIT_IDENTITY', ['0', 'Off']],
  ['VERIFICATION_SECONDS', ['0', '20s']],
  ['INBOX_QUOTA_MESSAGES', ['0', 'unlimited']],
  ['INBOX_QUOTA_BYTES', ['0', '1pb', '2000tb', '-1gb']],
  ['SENDER_QUOTA_MESSAGES', ['0', '10k']],
  ['SENDER_QUOTA_BYTES', ['0', 'all']],
  ['RULE_QUOTA', ['0', '-1']],
  ['MAX_CONCURRENT_REQUESTS', ['0', 'many']],
  ['MAX_CONNECTIONS_ADDRESS', ['0', 'none']],
  ['MAX_SOCKETS_ADDRESS', ['0', '1.5']],
  ['MAX_SOCKETS_IDENTITY', ['0', 'all']],
  ['INCOMING_MEMORY', ['1mb', '100tb', 'off']],
  ['OUTGOING_MEMORY', ['1mb', 'much']],
  ['MESSAGE_RETENTION_DAYS', ['0', '-1', '30 days', '40000', 'never']],
]

describe('invalid settings', () => {
  test('the tests cover a bad value of every variable', () => {
    expect(BAD.map(([variable]) => variable).sort()).toEqual(
      VARIABLES.filter((name) => name !== 'ARC_API_KEY').sort(),
    )
  })

  test.each(BAD.flatMap(([variable, values]) => values.map((value) => [variable, value] as const)))(
    '%s=%s',
    (variable, value) => {
      const problems = problemsOf({ [variable]: value })
      expect(problems).toEqual([expect.stringMatching(new RegExp(`^${variable} .*\\w`))])
    },
  )

  test.each(['staging', 'production'])('no private key in %s', (env) => {
    expect(problemsOf({ NODE_ENV: env })).toEqual([
      expect.stringContaining('SERVER_PRIVATE_KEY is required'),
    ])
  })

  test('MySQL without a connection, and SQLite without a file', () => {
    expect(problemsOf({ KNEX_DB_CLIENT: 'mysql2' })).toEqual([
      expect.stringContaining('KNEX_DB_CONNECTION is required'),
    ])
    expect(problemsOf({ KNEX_DB_CLIENT: 'better-sqlite3', KNEX_DB_CONNECTION: MYSQL })).toEqual([
      expect.stringContaining('filename'),
    ])
  })

  test('WORKERS above 1 with SQLite', () => {
    const conflict = [expect.stringMatching(/^WORKERS must be 1 with SQLite/)]
    expect(problemsOf({ WORKERS: '2' })).toEqual(conflict)
    expect(problemsOf({ WORKERS: '2', KNEX_DB_CLIENT: 'better-sqlite3' })).toEqual(conflict)
    expect(problemsOf({ WORKERS: '1' })).toEqual([])
    expect(problemsOf({ WORKERS: '2', KNEX_DB_CONNECTION: MYSQL })).toEqual([])
    expect(problemsOf({ WORKERS: '2', KNEX_DB_CLIENT: 'mysql2' })).toEqual([
      expect.stringContaining('KNEX_DB_CONNECTION is required'),
    ])
  })

  test('WORKERS=auto is one worker for each core', () => {
    const { workers } = parseConfig({ WORKERS: 'auto', KNEX_DB_CONNECTION: MYSQL })
    expect(workers).toBe(availableParallelism())
  })

  test('INCOMING_MEMORY below what the largest body takes', () => {
    expect(problemsOf({ INCOMING_MEMORY: '16mb' })).toEqual([])
    expect(problemsOf({ INCOMING_MEMORY: '16mb', MAX_BODY_SIZE: '11mb' })).toEqual([
      expect.stringContaining('INCOMING_MEMORY must be at least'),
    ])
  })

  test.each<FlatEnv>([
    { OUTGOING_MEMORY: '16mb' },
    { OUTGOING_MEMORY: '64mb', MAX_PAGE_BYTES: '43mb' },
    { OUTGOING_MEMORY: '128mb', MAX_BODY_SIZE: '43mb' },
  ])('OUTGOING_MEMORY below what the largest answer takes: %j', (env) => {
    expect(problemsOf(env)).toEqual([expect.stringContaining('OUTGOING_MEMORY must be at least')])
  })

  test('the default memory grows with MAX_PAGE_BYTES and MAX_BODY_SIZE', () => {
    expect(problemsOf({ MAX_PAGE_BYTES: '100mb', MAX_BODY_SIZE: '100mb' })).toEqual([])
  })

  test('ADVERTISE without the settings it requires', () => {
    const keyless: FlatEnv = {
      ADVERTISE: 'true',
      HOSTING_DOMAIN: 'https://box.example.com',
      WALLET_STORAGE_URL: 'https://storage.example.com',
    }
    const whole: FlatEnv = { ...keyless, SERVER_PRIVATE_KEY: KEY }
    expect(problemsOf(whole)).toEqual([])
    expect(problemsOf({ ...whole, HOSTING_DOMAIN: 'https://box.example.com:8443/' })).toEqual([])
    for (const HOSTING_DOMAIN of [
      '',
      'http://box.example.com',
      'https://box.example.com/api',
      'https://box.example.com?x',
      'https://localhost',
    ]) {
      expect(problemsOf(readEnv({ ...whole, HOSTING_DOMAIN }))).toEqual([
        expect.stringMatching(/^HOSTING_DOMAIN must be an https address/),
      ])
    }
    expect(problemsOf(keyless)).toEqual([expect.stringMatching(/^SERVER_PRIVATE_KEY is required/)])
    expect(problemsOf({ ...whole, ROUTING_PREFIX: '/api' })).toEqual([
      expect.stringMatching(/^ROUTING_PREFIX must not be set/),
    ])
    expect(problemsOf({ ...whole, NETWORK: 'local' })).toEqual([
      expect.stringMatching(/^CHAINTRACKS_URL and ARC_URL are required/),
    ])
    expect(problemsOf({ ADVERTISE: 'true', NODE_ENV: 'production' })).toHaveLength(3)
  })

  test('push without a service account or without a project', () => {
    expect(problemsOf({ ENABLE_FIREBASE: 'true' })).toEqual([
      expect.stringMatching(
        /^FIREBASE_SERVICE_ACCOUNT_JSON or FIREBASE_SERVICE_ACCOUNT_PATH is required/,
      ),
    ])
    expect(
      problemsOf({
        ENABLE_FIREBASE: 'true',
        FIREBASE_SERVICE_ACCOUNT_JSON: JSON.stringify(ACCOUNT),
      }),
    ).toEqual([expect.stringContaining('FIREBASE_PROJECT_ID is required')])
  })

  test('a bad value of a variable that another one overrides', () => {
    expect(
      problemsOf({ PORT: '80', HTTP_PORT: 'http', NETWORK: 'main', BSV_NETWORK: 'live' }),
    ).toEqual([expect.stringMatching(/^HTTP_PORT /), expect.stringMatching(/^BSV_NETWORK /)])
  })

  test('the error lists every problem, one for each variable', () => {
    const flat = Object.fromEntries(BAD.map(([variable, [value]]) => [variable, value])) as FlatEnv
    const problems = problemsOf(flat)
    expect(problems.map((problem) => problem.split(' ')[0]).sort()).toEqual(
      BAD.map(([variable]) => variable).sort(),
    )
    const message = messageOf(flat)
    for (const problem of problems) expect(message).toContain(problem)
    expect(message).toContain(`${BAD.length} problems`)
  })
})

test('parseConfig reads a service account from a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-config-'))
  try {
    const path = join(folder, 'account.json')
    writeFileSync(path, JSON.stringify({ ...ACCOUNT, project_id: 'its-own' }))
    const { push } = parseConfig({ ENABLE_FIREBASE: 'true', FIREBASE_SERVICE_ACCOUNT_PATH: path })
    expect([push.account?.privateKey.reveal(), push.projectId]).toEqual([
      ACCOUNT.private_key,
      'its-own',
    ])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

describe('a secret is never printed', () => {
  const SECRETS = ['SERVER_PRIVATE_KEY', 'MIGRATE_KEY'] as const

  test('when the configuration is printed', () => {
    const config = parseConfig({
      SERVER_PRIVATE_KEY: KEY,
      MIGRATE_KEY: 'open sesame!',
      REDIS_URL: 'redis://:hush@redis',
      ARC_API_KEY: 'arc hush',
      FIREBASE_SERVICE_ACCOUNT_JSON: JSON.stringify(ACCOUNT),
    })
    const { privateKey } = config.auth
    const { key } = config.migrate
    const printed = [
      JSON.stringify(config),
      inspect(config, { depth: 9, showHidden: true }),
      `${String(privateKey)} ${String(key)}`,
      Object.entries({ ...privateKey, ...key }).join(),
      JSON.stringify([privateKey, key]),
    ].join()
    expect(printed).toContain('[secret]')
    for (const secret of [KEY, 'open sesame!', 'hush', 'PRIVATE KEY'])
      expect(printed).not.toContain(secret)
  })

  test.each([
    ...SECRETS.map((variable) => [variable, 's3cr3t'] as const),
    ['SERVER_PRIVATE_KEY', `${KEY}s3cr3t`],
    ['KNEX_DB_CONNECTION', 'mysql://root:s3cr3t@db/x'],
    ['KNEX_DB_CONNECTION', '{"password":"s3cr3t"'],
    ['KNEX_DB_CONNECTION', '{"password":"s3cr3t"}'],
    ['KNEX_DB_CONNECTION', '["s3cr3t"]'],
    ['WALLET_STORAGE_URL', 'ftp://me:s3cr3t@storage'],
    ['FIREBASE_SERVICE_ACCOUNT_JSON', '{"private_key":"s3cr3t"'],
    ['FIREBASE_SERVICE_ACCOUNT_JSON', '{"client_email":"a@b","private_key":"s3cr3t"}'],
    ['HOSTING_DOMAIN', 's3cr3t'],
    ['REDIS_URL', 'http://me:s3cr3t@redis'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'grpc://me:s3cr3t@otel'],
  ] as const)('when a bad value of %s is reported', (variable, value) => {
    const problems = problemsOf({ [variable]: value })
    expect(problems).toHaveLength(1)
    expect(messageOf({ [variable]: value })).not.toMatch(/s3cr3t|0123456789abcdef/)
  })
})
