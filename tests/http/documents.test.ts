/**
 * The API's documents as the server serves them, and what they describe but no other test covers.
 */
import { describe, expect, test } from '@jest/globals'
import { PrivateKey } from '@bsv/sdk'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createHttpServer } from '../../src/http/server'
import { DOCUMENT_ROUTES } from '../../src/openapi'
import { createDocument, OPERATIONS } from '../../src/openapi/document'
import { EVENTS_SAMPLE, PRELUDE, SAMPLE_HOST } from '../../src/openapi/samples'
import { OPERATOR_ROUTES } from '../../src/operator'
import { IDENTITY_ROUTES } from '../../src/routes'
import { HANDSHAKE } from '../../src/routes/handshake'
import { createRoutes } from '../../src/routes/route'
import { unwatchAnswers, watchAnswers, takeFaults } from '../../tools/contract/documented'
import { expectCors, expectError, expectRefusal } from '../../tools/contract/refusals'
import { joinServer, onEnd, startServer } from '../../tools/servers/server'
import { handshake, post, sign, submit } from '../../tools/clients/signedRequests'

const ROOT = join(__dirname, '..', '..')

describe.each(['', '/api'])('with the prefix %j', (prefix) => {
  test('both documents are public, and clients may cache them until they change', async () => {
    const { host, origin } = await startServer({
      env: { ROUTING_PREFIX: prefix, DELIVERY_FEES: 'letters=7' },
    })
    for (const [path, field] of [
      ['/openapi.json', 'openapi'],
      ['/asyncapi.json', 'asyncapi'],
    ] as const) {
      const answer = await fetch(`${host}${path}`, {
        headers: { origin: 'https://elsewhere.example' },
      })
      expect([answer.status, answer.headers.get('content-type')]).toEqual([
        200,
        'application/json; charset=utf-8',
      ])
      expectCors(answer.headers)
      expect(await answer.json()).toHaveProperty(field)
      const etag = answer.headers.get('etag')!
      // Without this cache-control, Node's fetch asks for a fresh copy. Browsers send it too.
      const again = await fetch(`${host}${path}`, {
        headers: { 'if-none-match': etag, 'cache-control': 'max-age=0' },
      })
      expect([again.status, await again.text()]).toEqual([304, ''])
      expect(
        (
          await fetch(`${host}${path}`, {
            headers: { 'if-none-match': '"another"', 'cache-control': 'max-age=0' },
          })
        ).status,
      ).toBe(200)
      const refused = await fetch(`${host}${path}`, { method: 'POST' })
      expectError(
        { status: refused.status, headers: refused.headers, body: await refused.json() },
        [405, 'ERR_METHOD_NOT_ALLOWED'],
      )
      expect(refused.headers.get('allow')).toBe('GET')
      if (prefix !== '') expect((await fetch(`${origin}${path}`)).status).toBe(404)
    }
    const document = (await (await fetch(`${host}/openapi.json`)).json()) as {
      servers: object
      paths: Record<string, { servers?: object }>
      info: { description: string }
    }
    expect(document.servers).toEqual([{ url: prefix === '' ? '/' : prefix }])
    expect(document.paths['/.well-known/auth']!.servers).toEqual([{ url: '/' }])
    expect(document.info.description).toContain('7 satoshis into "letters"')
  })
})

/** Aliases of the health routes; the document mentions them under the main names. */
const OTHER_NAMES = ['get /healthz', 'get /health/live', 'get /readyz', 'get /health/ready']

test('the document describes exactly the routes of the server', async () => {
  const {
    server: { context },
  } = await startServer({ env: { MIGRATE_KEY: 'only for this test', ENABLE_OVERLAY: 'true' } })
  const table = [
    ...createRoutes([HANDSHAKE], context),
    ...createRoutes(OPERATOR_ROUTES, context),
    ...createRoutes(DOCUMENT_ROUTES, { openapi: () => ({}), asyncapi: () => ({}) }),
    ...createRoutes(IDENTITY_ROUTES, context),
    ...context.overlay.routes,
  ]
    .map(({ method, path }) => `${method} ${path}`)
    .filter((route) => !OTHER_NAMES.includes(route))
  expect(OPERATIONS.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(table.sort())
})

test('the document names the public address of the server', async () => {
  const { host } = await startServer({
    env: { ROUTING_PREFIX: '/api', HOSTING_DOMAIN: 'https://box.example.com' },
  })
  const document = (await (await fetch(`${host}/openapi.json`)).json()) as {
    servers: object
    paths: Record<string, { servers?: object }>
  }
  expect([document.servers, document.paths['/.well-known/auth']!.servers]).toEqual([
    [{ url: 'https://box.example.com/api' }],
    [{ url: 'https://box.example.com' }],
  ])
})

test('the sample of every operation runs', async () => {
  const { host, server } = await startServer({
    env: { ROUTING_PREFIX: '/api', MIGRATE_KEY: 'only for this test', ENABLE_WEBSOCKETS: 'true' },
  })
  const { prefix } = server.context.config.http
  const document = createDocument({ info: server.context.info, prefix })
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-samples-'))
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    const samples = OPERATIONS.map(({ id, path, method }) => {
      const {
        'x-codeSamples': [sample],
      } = document.paths[path]![method] as { 'x-codeSamples': [{ source: string }] }
      writeFileSync(
        join(folder, `${id}.mjs`),
        sample.source.replace(`${SAMPLE_HOST}${prefix}`, host),
      )
      return id
    })
    writeFileSync(
      join(folder, 'events.mjs'),
      `${PRELUDE}\n${EVENTS_SAMPLE}`.replace(SAMPLE_HOST, host),
    )
    // The samples run in turn in one process, which loads the client once. A failure ends it.
    writeFileSync(
      join(folder, 'all.mjs'),
      [...samples, 'events']
        .map((id) => `console.log('### ${id}'); await import('./${id}.mjs')`)
        .join('\n'),
    )
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'all.mjs')], {
      timeout: 30_000,
      env: { ...process.env, MIGRATE_KEY: 'only for this test' },
    })
    expect(stdout.match(/^### .*$/gm)).toEqual([...samples, 'events'].map((id) => `### ${id}`))
    for (const told of [
      /status: 'ready'/,
      /MessageBox live messages/,
      /The device is no longer registered|There was no such device/,
      /status: 'success', result: \[/,
      /^0[23]\w{64} writes: To myself, live$/m,
    ])
      expect(stdout).toMatch(told)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('the address limit applies to every public route except the health checks', async () => {
  const { host, origin } = await startServer({
    env: { RATE_LIMIT_ADDRESS: '1', MIGRATE_KEY: 'only for this test' },
  })
  await fetch(`${host}/info`)
  for (const { method, path, atRoot } of OPERATIONS.filter(
    ({ access, errors }) => access !== 'identity' && errors.includes('ERR_RATE_LIMITED'),
  )) {
    expect((await fetch(`${atRoot === true ? origin : host}${path}`, { method })).status).toBe(429)
  }
  expect((await fetch(`${host}/health`)).status).toBe(200)
})

test('message routes answer 503 if the schema is outdated', async () => {
  const server = await startServer({ env: { MIGRATE_ON_START: 'false' } })
  const { knex, schema } = server.server.context
  await schema.migrate()
  await knex('knex_migrations')
    .where({ id: knex('knex_migrations').max('id') })
    .delete()
  const { origin } = await joinServer(server)
  const alice = await handshake(origin)
  const routes = IDENTITY_ROUTES.filter(({ errors }) => errors.includes('ERR_SCHEMA_OUTDATED'))
  expect(routes.length).toBeGreaterThanOrEqual(3)
  for (const { path, body } of routes)
    expectRefusal(
      await post(alice, path, Object.values(body!.examples)[0] as object),
      503,
      'ERR_SCHEMA_OUTDATED',
    )
})

test('POST /migrate brings the schema up to date', async () => {
  const { host } = await startServer({
    env: { MIGRATE_ON_START: 'false', MIGRATE_KEY: 'only for this test' },
  })
  const migrated = await fetch(`${host}/migrate`, {
    method: 'POST',
    body: JSON.stringify({ migratekey: 'only for this test' }),
  })
  expect([migrated.status, await migrated.json()]).toMatchObject([
    200,
    { status: 'success', result: [1, expect.arrayContaining([expect.any(String)])] },
  ])
})

test('the error for a missing output names the recipient', async () => {
  const { origin } = await startServer({
    env: { CHAINTRACKS_URL: 'http://127.0.0.1:9', ARC_URL: 'http://127.0.0.1:9' },
  })
  const [alice, bob, carol] = [
    await handshake(origin),
    await handshake(origin),
    await handshake(origin),
  ]
  for (const recipient of [bob, carol])
    await post(recipient, '/permissions/set', { messageBox: 'letters', recipientFee: 5 })
  const output = {
    outputIndex: 0,
    protocol: 'wallet payment',
    customInstructions: { recipientIdentityKey: bob.identityKey },
  }
  const message = {
    recipients: [bob.identityKey, carol.identityKey],
    messageBox: 'letters',
    messageId: ['a', 'b'],
    body: 'c',
  }
  const { body } = await post(alice, '/sendMessage', {
    message,
    payment: { tx: [1], outputs: [output, { ...output, outputIndex: 1 }] },
  })
  expect(body).toMatchObject({
    code: 'ERR_MISSING_RECIPIENT_OUTPUTS',
    description: `The payment has no output for ${carol.identityKey}.`,
  })
})

test('listing rules with a blank box name is rejected', async () => {
  const { origin } = await startServer()
  const alice = await handshake(origin, PrivateKey.fromRandom())
  expect(
    (
      await submit(
        alice,
        await sign(alice, { method: 'GET', target: '/permissions/list?messageBox=%20' }),
      )
    ).body,
  ).toMatchObject({ code: 'ERR_INVALID_MESSAGE_BOX' })
})

test('a request that takes too long to arrive is answered with 408', async () => {
  const { server } = createHttpServer({ onRequest() {} })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  onEnd(async () => {
    await new Promise((resolve) => {
      server.close(resolve)
    })
  })
  watchAnswers(port, '')
  // Simulates the event that Node emits after its own timeout of two minutes.
  server.once('connection', (socket) => {
    setImmediate(() => {
      server.emit(
        'clientError',
        Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }),
        socket,
      )
    })
  })
  const client = connect(port, '127.0.0.1')
  const [answer] = (await once(client.setEncoding('utf8'), 'data')) as [string]
  client.destroy()
  unwatchAnswers(port)
  expect(answer).toMatch(/^HTTP\/1\.1 408 [^]*"code":"ERR_REQUEST_TIMEOUT"/)
  expect(takeFaults()).toEqual([])
})
