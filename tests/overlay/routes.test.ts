import { P2PKH, PrivateKey, Transaction, UnlockingScript } from '@bsv/sdk'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { anoint, find, identityOf, lookup, steak, submit } from '../../tools/chain/advertiser'
import { TestChain } from '../../tools/chain/chain'
import { expectCors, expectError, expectOverlayError } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'

const KEY = identityOf(PrivateKey.fromRandom())
const LOCAL = { NETWORK: 'local', ENABLE_OVERLAY: 'true' }

async function get(
  origin: string,
  path: string,
): Promise<{ status: number; headers: Headers; text: string; body: unknown }> {
  const response = await fetch(`${origin}${path}`)
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : undefined,
  }
}

describe('with the overlay on', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startServer({ env: { ...LOCAL, ROUTING_PREFIX: '/api' } })
  })

  test('the server has one topic and one service, at the root only', async () => {
    const described = {
      name: expect.any(String),
      shortDescription: expect.any(String),
      version: expect.any(String),
    }
    const topics = await get(server.origin, '/listTopicManagers')
    expect([topics.status, topics.body]).toEqual([200, { tm_messagebox: described }])
    expectCors(topics.headers)
    expect((await get(server.origin, '/listLookupServiceProviders')).body).toEqual({
      ls_messagebox: described,
    })
    expectError(await get(server.host, '/listTopicManagers'), [404, 'ERR_NOT_FOUND'])
  })

  test('the topic and the service have documentation', async () => {
    for (const path of [
      '/getDocumentationForTopicManager?manager=tm_messagebox',
      '/getDocumentationForLookupServiceProvider?lookupService=ls_messagebox',
    ]) {
      const { status, headers, text } = await get(server.origin, path)
      expect([status, headers.get('content-type')]).toEqual([200, 'text/markdown; charset=utf-8'])
      expect(text).toMatch(/^# (tm|ls)_messagebox\n/)
    }
    expectOverlayError(
      await get(server.origin, '/getDocumentationForTopicManager?manager=tm_ship'),
      [400, 'ERR_UNKNOWN_TOPIC'],
    )
    expectOverlayError(await get(server.origin, '/getDocumentationForLookupServiceProvider'), [
      400,
      'ERR_UNKNOWN_SERVICE',
    ])
  })

  test.each<[string, unknown, string]>([
    ['another service', { service: 'ls_ship', query: {} }, 'ERR_UNKNOWN_SERVICE'],
    ['no service', { query: {} }, 'ERR_UNKNOWN_SERVICE'],
    ['null', 'null', 'ERR_UNKNOWN_SERVICE'],
    ['no query', { service: 'ls_messagebox' }, 'ERR_INVALID_QUERY'],
    ['null as its query', { service: 'ls_messagebox', query: null }, 'ERR_INVALID_QUERY'],
    [
      'a query that is not an object',
      { service: 'ls_messagebox', query: 'all' },
      'ERR_INVALID_QUERY',
    ],
    [
      'an invalid key',
      { service: 'ls_messagebox', query: { identityKey: KEY.slice(2) } },
      'ERR_INVALID_QUERY',
    ],
    [
      'several keys',
      { service: 'ls_messagebox', query: { identityKey: [KEY] } },
      'ERR_INVALID_QUERY',
    ],
    [
      'a host that is not a string',
      { service: 'ls_messagebox', query: { host: {} } },
      'ERR_INVALID_QUERY',
    ],
    ['broken JSON', '{', 'ERR_INVALID_JSON'],
  ])('a lookup with %s is rejected', async (_name, question, code) => {
    expectOverlayError(await lookup(server.origin, question), [400, code])
  })

  test.each<[string, string | undefined]>([
    ['another topic', '["tm_ship"]'],
    ['the topic and another topic', '["tm_messagebox","tm_ship"]'],
    ['no topic', '[]'],
    ['another topic in a list', 'tm_messagebox, tm_ship'],
    ['broken JSON', '["tm_messagebox"'],
    ['only commas', ' , '],
    ['an object', '{}'],
  ])('a submission to %s is rejected', async (_name, topics) => {
    expectOverlayError(await submit(server.origin, [1], { 'x-topics': topics! }), [
      400,
      'ERR_UNKNOWN_TOPIC',
    ])
  })

  test.each([
    '["tm_messagebox"]',
    'tm_messagebox',
    ' tm_messagebox ',
    'tm_messagebox,tm_messagebox',
    ' ["tm_messagebox"] ',
    '["tm_messagebox"], ["tm_messagebox"]',
    '"tm_messagebox"',
  ])('topics may be written as %s', async (topics) => {
    expectOverlayError(await submit(server.origin, [1], { 'x-topics': topics }), [
      400,
      'ERR_INVALID_TRANSACTION',
    ])
  })

  test('other methods are rejected, and other routes still need an identity', async () => {
    expectOverlayError(await get(server.origin, '/lookup'), [405, 'ERR_METHOD_NOT_ALLOWED'])
    expectOverlayError(await get(server.origin, '/submit'), [405, 'ERR_METHOD_NOT_ALLOWED'])
    expect(
      (await fetch(`${server.host}/listMessages`, { method: 'POST', body: '{}' })).status,
    ).toBe(401)
  })
})

test('on a local network, only scripts are verified', async () => {
  const chain = await TestChain.start()
  const { origin } = await startServer({ env: LOCAL })
  const alice = PrivateKey.fromRandom()
  const transaction = await anoint(chain, alice)
  expect((await submit(origin, transaction.toBEEF())).body).toEqual(steak([0]))
  expect(await find(origin, { identityKey: identityOf(alice) })).toEqual([
    `${transaction.id('hex')}.0`,
  ])
  const { inputs, outputs } = await anoint(chain, alice)
  const { sourceTransaction } = (await anoint(chain, alice)).inputs[0]!
  const forged = new Transaction(
    1,
    [
      {
        sourceTransaction: sourceTransaction!,
        sourceOutputIndex: 0,
        unlockingScript: inputs[0]!.unlockingScript!,
        sequence: 0xffffffff,
      },
    ],
    outputs,
  )
  expectOverlayError(await submit(origin, forged.toBEEF()), [400, 'ERR_INVALID_TRANSACTION'])
})

test('on a local network, a forged proof does not remove an advertisement', async () => {
  const chain = await TestChain.start()
  const { origin } = await startServer({ env: LOCAL })
  const [alice, mallory] = [PrivateKey.fromRandom(), PrivateKey.fromRandom()]
  const standing = await anoint(chain, alice)
  expect((await submit(origin, standing.toBEEF())).body).toEqual(steak([0]))

  const theft = chain.mine(
    new Transaction(
      1,
      [
        {
          sourceTransaction: standing,
          sourceOutputIndex: 0,
          unlockingScript: new UnlockingScript([]),
          sequence: 0xffffffff,
        },
      ],
      [{ satoshis: 1, lockingScript: new P2PKH().lock(mallory.toPublicKey().toHash()) }],
    ),
  )
  expectOverlayError(await submit(origin, theft.toBEEF()), [400, 'ERR_INVALID_ADVERTISEMENT'])
  expect(await find(origin, { identityKey: identityOf(alice) })).toEqual([
    `${standing.id('hex')}.0`,
  ])
})

test('an address can submit twenty times a minute and look up more often', async () => {
  const { origin } = await startServer({ env: LOCAL })
  const statuses = await Promise.all(
    Array.from(
      { length: 21 },
      async () => (await submit(origin, [1], { 'x-topics': '[]' })).status,
    ),
  )
  expect(statuses.filter((status) => status === 400).length).toBe(20)
  expectOverlayError(await submit(origin, [1]), [429, 'ERR_RATE_LIMITED'], {
    limit: 20,
    retryAfterMs: expect.any(Number),
  })
  expect(await find(origin, { identityKey: KEY })).toEqual([])
})

test('the overlay is off by default, except in development', async () => {
  const { origin } = await startServer()
  const listed = [
    '/listTopicManagers',
    '/listLookupServiceProviders',
    '/getDocumentationForTopicManager',
    '/getDocumentationForLookupServiceProvider',
  ]
  for (const [method, path] of [
    ['POST', '/lookup'],
    ['POST', '/submit'],
    ...listed.map((path) => ['GET', path]),
  ]) {
    const response = await fetch(`${origin}${path}`, {
      method,
      ...(method === 'POST' && { body: '{}' }),
    })
    expectError(
      { status: response.status, headers: response.headers, body: await response.json() },
      [404, 'ERR_NOT_FOUND'],
    )
  }
})
