/**
 * Sends the same requests with the SDK's AuthFetch to our authentication and to the SDK package's.
 * Both must give the same result, with responses that verify, unless the contract asks for more.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { AuthFetch, PrivateKey, ProtoWallet, type WalletInterface } from '@bsv/sdk'
import {
  AuthFetch as OlderAuthFetch,
  PrivateKey as OlderPrivateKey,
  ProtoWallet as OlderProtoWallet,
} from 'bsv-sdk-1'
import express, { type RequestHandler } from 'express'
import fc from 'fast-check'
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Brc103 } from '../../src/auth/brc103'
import { httpAuth } from '../../src/auth/http'
import { MemoryReplayGuard } from '../../src/auth/replay'
import { SessionSealer } from '../../src/auth/session'
import { NativeServerKey } from '../../src/auth/serverKey'
import { parseConfig } from '../../src/config'
import { createMessageClasses, Exchange } from '../../src/http/exchange'
import { createLimits } from '../../src/limits'
import { Secret } from '../../src/lib/secret'
import { handshake, sign, submit, type PreparedRequest } from '../../tools/clients/signedRequests'
import { stockAuth } from '../../tools/servers/stock'

const servers: Server[] = []
let ours: string
let stock: string

beforeAll(async () => {
  const wallet = new NativeServerKey(new Secret(randomBytes(32).toString('hex')))
  const brc103 = new Brc103(wallet, new SessionSealer(randomBytes(32)), new MemoryReplayGuard())
  const limits = createLimits(parseConfig({ NODE_ENV: 'test' }), undefined)
  ours = await serve([
    (req, res, next) => {
      new Exchange(req, res, limits)
      next()
    },
    ...httpAuth({ brc103, maxBodyBytes: 10_000_000, limits, onHandshake() {} }),
  ])
  stock = await serve(stockAuth())
})

afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

/** Starts a server that returns the client's identity key and request, with signed headers. */
async function serve(auth: RequestHandler[]): Promise<string> {
  const app = express()
  app.use(...auth)
  app.use((req, res) => {
    const { identityKey } = (req as unknown as { auth: { identityKey: string } }).auth
    res.status(Number(req.query.status ?? 200))
    res.set({ 'x-bsv-b': 'second', 'x-bsv-a': 'first', 'x-other': 'unsigned' })
    res.json({
      identityKey,
      method: req.method,
      url: req.originalUrl,
      padding: 'ä'.repeat(Number(req.query.size ?? 0)),
    })
  })
  const server = createServer(createMessageClasses(app), app)
  servers.push(server)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Asked {
  method: string
  path: string
  search: string
  headers: Record<string, string>
  body?: unknown
}

async function ask(
  client: { fetch: AuthFetch['fetch'] },
  origin: string,
  { path, search, ...init }: Asked,
): Promise<object> {
  const response = await client.fetch(`${origin}${path}${search}`, init as never)
  return {
    status: response.status,
    signed: [
      response.headers.get('x-bsv-a'),
      response.headers.get('x-bsv-b'),
      response.headers.get('x-other'),
    ],
    body: await response.json(),
  }
}

const text = (min: number, max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'abcXYZ019-_.~'), minLength: min, maxLength: max })
const pairs = fc.array(fc.tuple(text(1, 8), fc.string({ maxLength: 10 })), { maxLength: 3 })

const queries = fc
  .record({
    pairs,
    status: fc.constantFrom(200, 201, 400, 403, 404, 500),
    size: fc.constantFrom(0, 1, 130, 40_000),
  })
  .map(
    ({ pairs, status, size }) =>
      `?${new URLSearchParams([...pairs.filter(([name]) => name !== 'status' && name !== 'size'), ['status', String(status)], ['size', String(size)]]).toString()}`,
  )

const paths = fc
  .array(
    fc.oneof(
      text(1, 8),
      fc
        .string({ minLength: 1, maxLength: 6 })
        .map((part) => encodeURIComponent(part.replace(/^\.+$/, 'dots'))),
    ),
    { maxLength: 4 },
  )
  .map((parts) => `/${parts.join('/')}`)

const extraHeaders = fc.dictionary(
  text(1, 8)
    .filter((name) => !name.startsWith('auth'))
    .map((name) => `x-bsv-${name.toLowerCase()}`),
  fc
    .string({ unit: fc.constantFrom(...'abc 123;,é='), maxLength: 12 })
    .map((value) => value.trim()),
  { maxKeys: 3 },
)

const bodies = fc.oneof(
  fc.constant({}),
  fc
    .record({ json: fc.object({ maxDepth: 2 }), size: fc.constantFrom(0, 1, 300, 70_000) })
    .map(({ json, size }) => ({
      type: 'application/json',
      body: JSON.stringify({ ...json, padding: '€'.repeat(size) }),
    })),
  fc
    .uint8Array({ minLength: 1, maxLength: 300 })
    .map((bytes) => ({ type: 'application/octet-stream', body: [...bytes] })),
  fc
    .string({ minLength: 1, maxLength: 50 })
    .filter((value) => value.trim() !== '')
    .map((body) => ({ type: 'text/plain', body })),
)

const requests: fc.Arbitrary<Asked> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
    path: paths,
    search: queries,
    extraHeaders,
    content: bodies,
  })
  .map(({ method, path, search, extraHeaders, content }) => {
    const { type, body } = content as { type?: string; body?: unknown }
    const headers: Record<string, string> = { ...extraHeaders }
    if (method === 'GET' || type === undefined) return { method, path, search, headers }
    return { method, path, search, headers: { ...headers, 'content-type': type }, body }
  })

test("SDK 2's AuthFetch gets the same answers from both", async () => {
  const key = PrivateKey.fromRandom()
  const client = new AuthFetch(new ProtoWallet(key) as unknown as WalletInterface)
  await fc.assert(
    fc.asyncProperty(requests, async (request) => {
      expect(await ask(client, ours, request)).toEqual(await ask(client, stock, request))
    }),
    { numRuns: 60 },
  )
})

test("SDK 1's AuthFetch works with our authentication", async () => {
  const key = OlderPrivateKey.fromRandom()
  const client = new OlderAuthFetch(new OlderProtoWallet(key) as never) as unknown as AuthFetch
  await fc.assert(
    fc.asyncProperty(requests, async (request) => {
      expect(await ask(client, ours, request)).toMatchObject({
        body: { identityKey: key.toPublicKey().toString(), method: request.method },
      })
    }),
    { numRuns: 40 },
  )
})

/** Each changes one part of a signed request, so that the wire differs from what was signed. */
const tamperings: Array<(request: PreparedRequest) => void> = [
  ({ init }) => {
    init.body = String(init.body).replace('"a":', '"b":')
  },
  (request) => {
    request.url = request.url.replace('/path', '/paths')
  },
  (request) => {
    request.url = request.url.replace('status=200', 'status=201')
  },
  ({ init }) => {
    init.method = 'PUT'
  },
  ({ init }) => {
    init.headers['x-bsv-more'] = '1'
  },
  ...['nonce', 'request-id'].map((name) => ({ init }: PreparedRequest) => {
    init.headers[`x-bsv-auth-${name}`] = randomBytes(32).toString('base64')
  }),
  ({ init }) => {
    init.headers['x-bsv-auth-signature'] = init.headers['x-bsv-auth-signature']!.replace(
      /.$/,
      (last) => (Number.parseInt(last, 16) ^ 1).toString(16),
    )
  },
]

test('both reject a request that was changed after signing', async () => {
  const sessions = [await handshake(ours), await handshake(stock)]
  const request = {
    target: '/path?status=200',
    headers: { 'content-type': 'application/json' },
    body: '{"a":1}',
  }
  for (const session of sessions)
    expect((await submit(session, await sign(session, request))).status).toBe(200)
  for (const tamper of tamperings) {
    for (const session of sessions) {
      const prepared = await sign(session, request)
      tamper(prepared)
      const { status } = await fetch(prepared.url, prepared.init as RequestInit)
      expect(status).toBe(401)
    }
  }
})
