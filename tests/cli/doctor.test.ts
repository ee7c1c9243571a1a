/** Set-ups with typical faults: the doctor finds and names each fault. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { availableParallelism } from 'node:os'
import { chmodSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { randomBytes } from 'node:crypto'
import type { FlatEnv } from '../../src/config'
import { diagnose, type Diagnosis } from '../../src/cli/doctor'
import { createKnex } from '../../src/db/engine/knex'
import { migrate } from '../../src/db/engine/migrate'
import { admin, adminAsNobody, canBeRestricted, startAsNobody } from '../../tools/programs/admin'
import {
  createDatabase,
  ENGINES,
  TEST_MYSQL_URL,
  type TestDatabase,
} from '../../tools/databases/databases'
import { freePort } from '../../tools/programs/freePort'
import { canRunMariadb, PrivateMariadb } from '../../tools/databases/mariadb'
import { canRunRedis, PrivateRedis } from '../../tools/databases/redis'
import { startProxy, type Faults } from '../../tools/proxies/reverseProxy'
import { onEnd, startServer, type TestServer } from '../../tools/servers/server'

const KEY = randomBytes(32).toString('hex')
/** The local network has no default services, so the doctor contacts no outside host. */
const BASE: FlatEnv = { NODE_ENV: 'test', NETWORK: 'local', PORT: '0', SERVER_PRIVATE_KEY: KEY }

async function migrated(engine: (typeof ENGINES)[number]): Promise<TestDatabase> {
  const database = await createDatabase(engine)
  onEnd(database.drop)
  const knex = createKnex(database.config)
  await migrate(knex, database.config)
  await knex.destroy()
  return database
}

/** The codes and texts of all problems found. */
function wrong({ findings }: Diagnosis): { codes: string[]; text: string } {
  const found = findings.filter(({ severity }) => severity === 'problem')
  for (const { found: what, advice } of found)
    expect({ what, advice }).toEqual({ what, advice: expect.stringMatching(/\w{4}/) })
  return { codes: found.map(({ code }) => code), text: found.map(({ found }) => found).join('\n') }
}

let sound: TestDatabase
let nowhere: number

beforeAll(async () => {
  sound = await migrated('sqlite')
  nowhere = await freePort()
})

describe('settings', () => {
  test.each<[string, FlatEnv, string[], string]>([
    [
      'a key out of range',
      { SERVER_PRIVATE_KEY: 'f'.repeat(64) },
      ['bad-setting'],
      'SERVER_PRIVATE_KEY is not in the range of the curve',
    ],
    [
      'no key in production',
      { NODE_ENV: 'production', SERVER_PRIVATE_KEY: undefined },
      ['bad-setting'],
      'SERVER_PRIVATE_KEY is required',
    ],
    [
      'bad JSON',
      { KNEX_DB_CONNECTION: '{host: 127.0.0.1}' },
      ['bad-setting'],
      'KNEX_DB_CONNECTION must be JSON',
    ],
    [
      'several bad settings',
      { PORT: 'http', TRUST_PROXY: 'everybody', RATE_LIMIT_ADDRESS: 'none' },
      ['bad-setting', 'bad-setting', 'bad-setting'],
      'TRUST_PROXY must be',
    ],
    [
      'fees without services that verify payments',
      { DELIVERY_FEES: 'letters=5' },
      ['fees-without-services'],
      'DELIVERY_FEES',
    ],
    [
      "a database that is another program's file",
      { KNEX_DB_CONNECTION: JSON.stringify({ filename: __filename }), KNEX_DB_CLIENT: 'sqlite' },
      ['database'],
      'not a SQLite database',
    ],
  ])('%s', async (_name, env, codes, says) => {
    const found = wrong(await diagnose({ ...BASE, ...sound.env, ...env }))
    expect(found).toEqual({ codes, text: expect.stringContaining(says) })
    expect(found.text).not.toContain(KEY)
  })

  test('a bad setting does not stop the other checks', async () => {
    const { findings } = await diagnose({
      ...BASE,
      ...sound.env,
      SERVER_PRIVATE_KEY: 'short',
      WALLET_STORAGE_URL: `http://127.0.0.1:${nowhere}`,
      REDIS_URL: `redis://:secret@127.0.0.1:${nowhere}`,
    })
    expect(findings.map(({ code }) => code)).toEqual(
      expect.arrayContaining([
        'bad-setting',
        'nodes-on-sqlite',
        'schema',
        'wallet-storage',
        'redis',
        'no-address',
      ]),
    )
    expect(JSON.stringify(findings)).not.toContain('secret')
  })

  test('secret parts of URLs are not shown', async () => {
    const at = `http://127.0.0.1:${nowhere}/path?token=secret`
    const there = { HOSTING_DOMAIN: at, WALLET_STORAGE_URL: at, CHAINTRACKS_URL: at, ARC_URL: at }
    const { findings } = await diagnose({
      ...BASE,
      ...sound.env,
      ...there,
      REDIS_URL: `redis://me:secret@127.0.0.1:${nowhere}?token=secret`,
    })
    expect(findings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['wallet-storage', 'chaintracks', 'arc', 'redis', 'unreachable']),
    )
    expect(JSON.stringify(findings)).toContain(`http://127.0.0.1:${nowhere}/path`)
    expect(JSON.stringify(findings)).not.toContain('secret')

    const withUser = Object.fromEntries(
      Object.keys(there).map((name) => [name, 'https://me:secret@box.example.com']),
    )
    const { findings: refused } = await diagnose({ ...BASE, ...sound.env, ...withUser })
    expect(refused.filter(({ found }) => found.includes('must not hold a user'))).toHaveLength(4)
    expect(JSON.stringify(refused)).not.toContain('secret')
    const { code, stdout, stderr } = await admin(
      { ...BASE, ...sound.env },
      'doctor',
      '--url',
      'https://me:secret@box.example.com',
    )
    expect([code, stdout, stderr]).toEqual([
      2,
      '',
      expect.stringMatching(/^\n--url must not hold a user/),
    ])
    expect(stderr).not.toContain('secret')
  })

  test('workers on SQLite are a problem, and more workers than cores a warning', async () => {
    const WORKERS = String(availableParallelism() + 1)
    const onSqlite = await diagnose({ ...BASE, ...sound.env, WORKERS })
    expect(wrong(onSqlite).codes).toEqual(['bad-setting'])
    expect(wrong(onSqlite).text).toContain('WORKERS must be 1 with SQLite')
    const connection = { host: '127.0.0.1', port: nowhere, user: 'root', database: 'none' }
    const KNEX_DB_CONNECTION = JSON.stringify(connection)
    const { findings } = await diagnose({ ...BASE, KNEX_DB_CONNECTION, WORKERS })
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'many-workers', severity: 'warning' }),
    )
  })

  test('SQLite in production is a warning', async () => {
    const { findings, status } = await diagnose({ ...BASE, ...sound.env, NODE_ENV: 'production' })
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'production-on-sqlite', severity: 'warning' }),
    )
    expect(status).toBe('warning')
  })
})

describe.each(ENGINES)('the database: %s', (engine) => {
  test('not migrated, or migrated by a newer server', async () => {
    const database = await createDatabase(engine)
    onEnd(database.drop)
    const check = async (): Promise<ReturnType<typeof wrong>> =>
      wrong(await diagnose({ ...BASE, ...database.env }))
    expect(await check()).toEqual({
      codes: ['not-migrated'],
      text: 'The database has no tables of this server yet.',
    })

    const knex = createKnex(database.config)
    await migrate(knex, database.config)
    expect((await check()).codes).toEqual([])
    await knex('knex_migrations').insert({
      name: '9999-from-the-future',
      batch: 9,
      migration_time: new Date(),
    })
    expect(await check()).toEqual({
      codes: ['schema-newer'],
      text: expect.stringContaining('9999-from-the-future'),
    })
    await knex('knex_migrations')
      .where({ name: '9999-from-the-future' })
      .orWhere('name', 'like', '0005%')
      .delete()
    expect(await check()).toEqual({
      codes: ['not-migrated'],
      text: expect.stringContaining('0005-devices'),
    })
    await knex.destroy()
  })
})

if (canBeRestricted()) {
  test("SQLite's file in a folder that this user may only read", async () => {
    const database = await migrated('sqlite')
    const file = String(database.config.connection.filename)
    chmodSync(file, 0o444)
    chmodSync(dirname(file), 0o555)
    onEnd(() => {
      chmodSync(dirname(file), 0o755)
    })

    const [{ code, stdout }, start] = await Promise.all([
      adminAsNobody({ ...BASE, ...database.env }, 'doctor', '--json'),
      startAsNobody({ ...BASE, ...database.env, LOG_LEVEL: 'silent' }),
    ])

    const { codes, text } = wrong(JSON.parse(stdout))
    expect([code, codes.slice(0, 2)]).toEqual([1, ['not-writable', 'not-writable']])
    expect(text).toMatch(/may not write to the folder[^]*may not write to the file/)
    // The server says what to do, without a stack trace.
    expect(start).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^\nThis user may not write to the SQLite file or its folder\. Give .*\n\n$/,
      ),
    })
  })
}

if (ENGINES.includes('mysql')) {
  const url = new URL(TEST_MYSQL_URL)
  const connection = {
    host: url.hostname,
    port: Number(url.port === '' ? 3306 : url.port),
    user: url.username,
    password: url.password,
  }

  test.each([
    [
      'a wrong password',
      { user: 'messagebox_nobody', password: 'a wrong one', database: 'messagebox' },
      'rejects the user or the password',
    ],
    ['a database that does not exist', { database: 'messagebox_that_is_not' }, 'does not exist'],
    [
      'a server that does not run',
      { database: 'messagebox', host: '127.0.0.1', port: 'nowhere' },
      'does not answer',
    ],
  ])('MySQL: %s', async (_name, change, says) => {
    const given = { ...connection, ...change, ...('port' in change && { port: nowhere }) }
    const found = wrong(await diagnose({ ...BASE, KNEX_DB_CONNECTION: JSON.stringify(given) }))
    expect(found).toEqual({ codes: ['database'], text: expect.stringContaining(says) })
    expect(found.text).not.toContain('a wrong one')
  })
}

if (canRunMariadb()) {
  test('MySQL with commits that are not durable, on a read-only replica', async () => {
    const database = await PrivateMariadb.create([
      '--innodb-flush-log-at-trx-commit=2',
      '--read-only',
      '--log-bin',
      '--sync-binlog=0',
    ])
    onEnd(async () => {
      await database.drop()
    })

    const diagnosis = await diagnose({ ...BASE, ...database.env })

    expect(wrong(diagnosis).codes).toEqual(['not-durable', 'read-only', 'not-migrated'])
    expect(diagnosis.findings).toContainEqual(
      expect.objectContaining({ code: 'binlog-not-durable', severity: 'warning' }),
    )
  })
}

describe('services', () => {
  test.each<[string, FlatEnv, string, string]>([
    [
      'wallet storage at a closed port',
      { WALLET_STORAGE_URL: 'http://127.0.0.1:PORT' },
      'wallet-storage',
      'nothing listens there',
    ],
    [
      'Redis at a closed port',
      { REDIS_URL: 'redis://127.0.0.1:PORT' },
      'redis',
      'Redis does not answer',
    ],
    [
      'services for payments at a closed port',
      {
        DELIVERY_FEES: 'letters=5',
        CHAINTRACKS_URL: 'http://127.0.0.1:PORT',
        ARC_URL: 'http://127.0.0.1:PORT',
      },
      'chaintracks',
      'ARC does not answer',
    ],
  ])('%s', async (_name, env, code, says) => {
    const there = Object.fromEntries(
      Object.entries(env).map(([name, value]) => [name, value!.replace('PORT', String(nowhere))]),
    )
    const { codes, text } = wrong(await diagnose({ ...BASE, ...sound.env, ...there }))
    expect(codes).toContain(code)
    expect(text).toContain(says)
  })

  test('missing block headers are a warning, and a problem once a recipient charges', async () => {
    const { host, database, server } = await startServer({ env: { SERVER_PRIVATE_KEY: KEY } })
    const severity = async (): Promise<string | undefined> => {
      const env = { ...BASE, ...database.env, CHAINTRACKS_URL: host, ARC_URL: host }
      return (await diagnose(env)).findings.find(
        ({ code, found }) => code === 'chaintracks' && found.includes('is not Chaintracks'),
      )?.severity
    }
    expect(await severity()).toBe('warning')
    await server.context.knex('permissions').insert({
      recipient: 'somebody',
      message_box: 'letters',
      sender: '',
      recipient_fee: 5,
      created_at: 0,
      updated_at: 0,
    })
    expect(await severity()).toBe('problem')
  })

  test('a port that another program uses', async () => {
    const other = createServer((socket) => {
      socket.end('220 mail\r\n')
    })
    await new Promise<void>((resolve) => {
      other.listen(0, resolve)
    })
    onEnd(() => {
      other.close()
    })
    const port = (other.address() as AddressInfo).port
    expect(wrong(await diagnose({ ...BASE, ...sound.env, PORT: String(port) }))).toEqual({
      codes: ['port-taken'],
      text: expect.stringContaining('by another program'),
    })
  })
})

test('the doctor does not wait long for services that do not answer', async () => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
  })
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve)
  })
  onEnd(() => {
    sockets.forEach((socket) => socket.destroy())
    silent.close()
  })
  const { port } = silent.address() as AddressInfo
  const at = `127.0.0.1:${port}`
  const since = Date.now()

  const diagnosis = await diagnose({
    ...BASE,
    KNEX_DB_CONNECTION: JSON.stringify({ host: '127.0.0.1', port, database: 'messagebox' }),
    REDIS_URL: `redis://${at}`,
    WALLET_STORAGE_URL: `http://${at}`,
    HOSTING_DOMAIN: `http://${at}`,
  })

  expect(Date.now() - since).toBeLessThan(15_000)
  expect(wrong(diagnosis).codes).toEqual(['database', 'redis', 'wallet-storage', 'unreachable'])
})

describe('the public address', () => {
  let server: TestServer
  let settings: FlatEnv

  beforeAll(async () => {
    server = await startServer({
      env: {
        SERVER_PRIVATE_KEY: KEY,
        ENABLE_WEBSOCKETS: 'true',
        ROUTING_PREFIX: '/api',
        TRUST_PROXY: '1',
        MAX_BODY_SIZE: '1mb',
      },
    })
    settings = { ...server.env, ...BASE, ...server.database.env, PORT: String(server.server.port) }
  })

  const examine = async (faults: Faults): Promise<Diagnosis> =>
    await diagnose({ ...settings, HOSTING_DOMAIN: await startProxy(server.origin, faults) })
  const without = (headers: object, pattern: RegExp): Record<string, string> =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => !pattern.test(name)))

  test('a correct set-up has no findings above "ok"', async () => {
    const diagnosis = await examine({})
    expect(diagnosis).toEqual({ status: 'ok', findings: expect.any(Array) })
    expect(diagnosis.findings.map(({ code }) => code)).toEqual(
      expect.arrayContaining([
        'server-runs',
        'address',
        'clock',
        'handshake',
        'requests',
        'large-body',
        'websocket',
      ]),
    )
    expect(
      (await diagnose({ ...settings, TRUST_PROXY: undefined }, { url: server.host })).status,
    ).toBe('ok')
  })

  test.each<[string, Faults, string, RegExp]>([
    [
      'strips headers of requests',
      { requestHeaders: (headers) => without(headers, /^x-bsv-auth-/) },
      'headers-stripped',
      /removes the x-bsv-auth-\* headers of requests/,
    ],
    [
      "strips the application's own headers",
      { requestHeaders: (headers) => without(headers, /^x-bsv-(?!auth-)/) },
      'headers-changed',
      /begin with x-bsv-/,
    ],
    [
      'strips headers of answers',
      { answerHeaders: (headers) => without(headers, /^x-bsv-auth-/) },
      'answer-headers-stripped',
      /headers of answers/,
    ],
    [
      'rewrites bodies of requests',
      {
        requestBody: (body) =>
          body.length === 0 ? body : Buffer.from(JSON.stringify(JSON.parse(body.toString()))),
      },
      'body-changed',
      /changes the bodies of requests/,
    ],
    [
      'rewrites answers',
      {
        answerBody: (body) =>
          Buffer.from(JSON.stringify(JSON.parse(body.toString()), undefined, 1)),
      },
      'answer-changed',
      /changes answers/,
    ],
    [
      'drops the query',
      { path: (path) => (path.startsWith('/socket.io') ? path : path.split('?')[0]!) },
      'path-changed',
      /changes the path/,
    ],
    [
      'drops the prefix',
      { path: (path) => path.replace(/^\/api/, '') },
      'wrong-prefix',
      /ERR_NOT_FOUND/,
    ],
    [
      'does not forward the handshake',
      { refuse: (path) => (path.startsWith('/.well-known') ? 404 : undefined) },
      'no-handshake',
      /404.*no client can authenticate/,
    ],
    ['does not forward upgrades', { dropUpgrades: true }, 'no-websocket', /the answer is 400/],
    [
      'rejects large bodies',
      { refuse: (_path, body) => (body.length > 512 * 1024 ? 413 : undefined) },
      'large-body',
      /rejects a body of 1 MiB \(413\)/,
    ],
    [
      'adds CORS headers',
      {
        answerHeaders: (headers) => ({
          ...headers,
          'access-control-allow-origin': '*, https://example.com',
        }),
      },
      'cors',
      /CORS headers of its own/,
    ],
    [
      'has a wrong clock',
      {
        answerHeaders: (headers) => ({
          ...headers,
          date: new Date(Date.now() - 600_000).toUTCString(),
        }),
      },
      'clock',
      /(599|600|601) seconds apart/,
    ],
    [
      'requires a password',
      { refuse: (path) => (path.includes('permissions') ? 401 : undefined) },
      'proxy-authentication',
      /proxy itself refuses/,
    ],
    ['does not reach the server', { refuse: () => 502 }, 'proxy-without-server', /502/],
    [
      'forwards to another program',
      { refuse: () => 200 },
      'other-server',
      /not a MessageBox server/,
    ],
  ])('finds a proxy that %s', async (_name, faults, code, says) => {
    expect(wrong(await examine(faults))).toEqual({
      codes: [code],
      text: expect.stringMatching(says),
    })
  })

  test('text from another server is shortened and contains no control characters', async () => {
    const url = await startProxy(server.origin, {
      answerHeaders: (headers) => ({
        ...headers,
        'access-control-allow-origin': `https://\u009b31m.${'x'.repeat(1000)}`,
      }),
    })
    const { findings } = await diagnose(settings, { url })
    const { found } = findings.find(({ code }) => code === 'cors')!
    expect(found).not.toContain('\u009b')
    expect(found).toMatch(/\uFFFD31m\.x{180,200}…\)/)
  })

  test('another MessageBox server at the address, or none', async () => {
    const other = await startServer()
    const [another, nobody] = await Promise.all(
      [other.host, `http://127.0.0.1:${nowhere}`].map(async (url) =>
        wrong(await diagnose({ ...settings, ROUTING_PREFIX: undefined, PORT: '0' }, { url })),
      ),
    )
    expect(another).toEqual({
      codes: ['other-identity'],
      text: expect.stringContaining(other.server.context.serverKey.identityKey),
    })
    expect(nobody).toEqual({
      codes: ['unreachable'],
      text: expect.stringContaining('nothing listens there'),
    })
  })

  test('TRUST_PROXY that is missing, unnecessary or names another proxy', async () => {
    const url = await startProxy(server.origin)
    const warnings = async (env: FlatEnv, to = url): Promise<string[]> => {
      return (await diagnose({ ...settings, ...env }, { url: to })).findings
        .filter(({ severity }) => severity === 'warning')
        .map(({ code }) => code)
    }
    expect(await warnings({ TRUST_PROXY: undefined })).toEqual(['proxy-not-trusted'])
    expect(await warnings({}, server.host)).toEqual(['trusts-anybody'])
    await server.restart({ TRUST_PROXY: '192.0.2.0/24' })
    expect(await warnings({ TRUST_PROXY: '192.0.2.0/24' })).toEqual(['proxy-not-believed'])
  })
})

if (canRunRedis() && ENGINES.includes('mysql')) {
  test('the tool exits with 0 if all is well, else with 1, as text and as JSON', async () => {
    const redis = await PrivateRedis.create()
    onEnd(async () => {
      await redis.kill()
    })
    const server = await startServer({
      engine: 'mysql',
      env: { SERVER_PRIVATE_KEY: KEY, REDIS_URL: redis.url },
    })
    const env = {
      ...BASE,
      ...server.database.env,
      PORT: String(server.server.port),
      MAX_BODY_SIZE: '1mb',
    }
    const [good, bad, both] = await Promise.all([
      admin({ ...env, REDIS_URL: redis.url }, 'doctor', '--json'),
      admin({ ...env, REDIS_URL: `redis://127.0.0.1:${nowhere}` }, 'doctor', '--json'),
      admin({ ...env, SERVER_PRIVATE_KEY: 'short' }, 'doctor'),
    ])

    expect([good.code, good.stderr, JSON.parse(good.stdout)]).toMatchObject([
      0,
      '',
      { status: 'ok' },
    ])
    expect([bad.code, bad.stderr, wrong(JSON.parse(bad.stdout)).codes]).toEqual([1, '', ['redis']])
    expect([both.code, both.stderr]).toEqual([1, ''])
    expect(both.stdout).toMatch(/^PROBLEM {2}settings {2}SERVER_PRIVATE_KEY must be 64 hex digits/m)
    expect(both.stdout).toContain('1 problem, 0 warnings')
  })
}
