import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createDatabase } from '../../tools/databases/databases'
import { Child, ServerProcess } from '../../tools/programs/processes'
import { onEnd } from '../../tools/servers/server'
import { handshake, sign, submit } from '../../tools/clients/signedRequests'

interface Span {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  attributes: Array<{ key: string; value: Record<string, unknown> }>
  status: { code?: number; message?: string }
}

let collector: Server
const received: string[] = []
const spans: Span[] = []

/** A collector for OTLP over HTTP in JSON. */
beforeAll(async () => {
  collector = createServer((req, res) => {
    let body = ''
    req.on('data', (chunk) => {
      body += String(chunk)
    })
    req.on('end', () => {
      received.push(`${req.url!} ${body}`)
      const { resourceSpans } = JSON.parse(body) as {
        resourceSpans: Array<{ scopeSpans: Array<{ spans: Span[] }> }>
      }
      spans.push(
        ...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
      )
      res.setHeader('content-type', 'application/json').end('{}')
    })
  })
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  await new Promise((resolve) => collector.close(resolve))
})

test('spans continue the trace of the client and contain no content of requests', async () => {
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  const database = await createDatabase('sqlite')
  onEnd(database.drop)
  const server = await ServerProcess.start({
    env: { ...database.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, TRUST_PROXY: 'loopback' },
  })
  const alice = await handshake(server.origin)
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const prepared = await sign(alice, {
    target: '/sendMessage?search=hidden',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      message: {
        recipient: alice.identityKey,
        messageBox: 'hidden',
        messageId: 'hidden',
        body: 'hidden',
      },
    }),
  })
  prepared.init.headers.traceparent = `00-${traceId}-b7ad6b7169203331-01`
  expect((await submit(alice, prepared)).status).toBe(200)
  await fetch(`${server.origin}/nothing/of/this`)
  // At its stop, the server sends the remaining spans.
  await server.kill('SIGTERM')

  const request = spans.find(({ name }) => name === 'POST /sendMessage')!
  expect(request).toMatchObject({ traceId, parentSpanId: 'b7ad6b7169203331' })
  expect(request.attributes).toContainEqual({
    key: 'http.response.status_code',
    value: { intValue: 200 },
  })
  expect(spans.find(({ name }) => name === 'mailbox.send')).toMatchObject({
    traceId,
    parentSpanId: request.spanId,
  })
  expect(spans.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['POST /.well-known/auth', 'GET other']),
  )
  expect(received[0]).toMatch(/^\/v1\/traces .*"service\.name".*"messagebox-server"/)
  expect(received.join()).not.toMatch(/hidden|0[23][0-9a-f]{64}/)
})

test('without an endpoint, the server does not load the SDK of OpenTelemetry', async () => {
  const program = `
    const { parseConfig } = require(${JSON.stringify(join(__dirname, '../../src/config/index.ts'))})
    const { MessageBoxServer } = require(${JSON.stringify(join(__dirname, '../../src/server.ts'))})
    MessageBoxServer.create(parseConfig({ NODE_ENV: 'test', PORT: '0', KNEX_DB_CLIENT: 'better-sqlite3', KNEX_DB_CONNECTION: '{"filename":":memory:"}', METRICS_PORT: '0', LOG_LEVEL: 'silent' })).then(async server => {
      await server.start()
      console.log('loaded', Object.keys(require.cache).filter(path => path.includes('@opentelemetry') && !path.includes('@opentelemetry/api')).length)
      await server.stop()
    })`
  const child = new Child(process.execPath, [
    '-r',
    join(__dirname, '../../scripts/transpile.js'),
    '-e',
    program,
  ])
  expect(await child.ended()).toBe(0)
  expect(child.output).toContain('loaded 0')
})
