import { LockingScript, MerklePath, OP, P2PKH, PrivateKey, Transaction, Utils } from '@bsv/sdk'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import {
  anoint,
  find,
  identityOf,
  lockAdvertisement,
  lookup,
  makeTransaction,
  steak,
  submit,
  type OverlayAnswer,
} from '../../tools/chain/advertiser'
import { TestChain } from '../../tools/chain/chain'
import { ENGINES } from '../../tools/databases/databases'
import { expectOverlayError } from '../../tools/contract/refusals'
import { joinServer, startServer, type TestServer } from '../../tools/servers/server'

const outpoint = (transaction: Transaction, index = 0): string =>
  `${transaction.id('hex')}.${index}`

describe.each(ENGINES)('the topic on %s', (engine) => {
  let chain: TestChain
  let server: TestServer
  let alice: PrivateKey
  let from: Record<string, string>

  beforeAll(async () => {
    chain = await TestChain.start()
    server = await startServer({
      engine,
      env: { ...chain.env, ENABLE_OVERLAY: 'true', TRUST_PROXY: '1' },
    })
  })

  // Each test sends from an address of its own, so that the rate limit counts them apart.
  beforeEach(() => {
    alice = PrivateKey.fromRandom()
    from = { 'x-forwarded-for': `10.${[...randomBytes(3)].join('.')}` }
  })

  const submitBeef = async (
    beef: Uint8Array | number[],
    headers: Record<string, string> = {},
  ): Promise<OverlayAnswer> => await submit(server.origin, beef, { ...from, ...headers })
  const send = async (transaction: Transaction): Promise<OverlayAnswer> =>
    await submitBeef(transaction.toBEEF())
  const found = async (key = alice): Promise<string[]> =>
    await find(server.origin, { identityKey: identityOf(key) })
  const admit = async (
    transaction: Transaction,
    ...wanted: Parameters<typeof steak>
  ): Promise<void> => {
    const { status, body } = await send(transaction)
    expect([status, body]).toEqual([200, steak(...wanted)])
  }

  test('advertisements are found by identity, host or both, the newest first', async () => {
    const [first, second] = [
      await anoint(chain, alice, 'https://one.alice'),
      await anoint(chain, alice, 'https://two.alice'),
    ]
    expect(await found()).toEqual([])
    await admit(first, [0])
    await admit(second, [0])
    expect(await found()).toEqual([outpoint(second), outpoint(first)])
    expect(await find(server.origin, { host: 'https://one.alice' })).toEqual([outpoint(first)])
    expect(
      await find(server.origin, { identityKey: identityOf(alice), host: 'https://two.alice' }),
    ).toEqual([outpoint(second)])
    expect(
      await find(server.origin, {
        identityKey: identityOf(PrivateKey.fromRandom()),
        host: 'https://two.alice',
      }),
    ).toEqual([])
    expect((await find(server.origin, {})).slice(0, 2)).toEqual([outpoint(second), outpoint(first)])
  })

  test('only outputs that are advertisements are admitted and kept', async () => {
    const funds = chain.mint(alice, 10_000)
    const [good, forged] = [
      await lockAdvertisement(alice),
      await lockAdvertisement(PrivateKey.fromRandom(), { identityKey: identityOf(alice) }),
    ]
    const transaction = await makeTransaction(chain, alice, [forged, good], { funds })
    await admit(transaction, [1])
    expect(await found()).toEqual([outpoint(transaction, 1)])
  })

  test('submitting a transaction again, at once or later, changes nothing', async () => {
    const transaction = await anoint(chain, alice)
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => await send(transaction)),
    )
    answers.push(await send(transaction), await submitBeef(transaction.toAtomicBEEF()))
    expect(answers.map(({ status, body }) => [status, body])).toEqual(
      answers.map(() => [200, steak([0])]),
    )
    expect(await found()).toEqual([outpoint(transaction)])
  })

  test('off-chain values may follow the BEEF', async () => {
    const transaction = await anoint(chain, alice)
    const beef = transaction.toBEEF()
    const writer = new Utils.Writer()
    writer.writeVarIntNum(beef.length).write(beef).write([1, 2, 3])
    const answer = await submitBeef(writer.toArray(), { 'x-includes-off-chain-values': 'true' })
    expect([answer.status, answer.body]).toEqual([200, steak([0])])
    expectOverlayError(
      await submitBeef([0xfd, 0xff, 0xff, 1], { 'x-includes-off-chain-values': 'true' }),
      [400, 'ERR_INVALID_TRANSACTION'],
    )
    expectOverlayError(await submitBeef([], { 'x-includes-off-chain-values': 'true' }), [
      400,
      'ERR_INVALID_TRANSACTION',
    ])
  })

  test('a spent advertisement is removed and cannot be submitted again', async () => {
    const first = await anoint(chain, alice, 'https://one.alice')
    const second = await anoint(chain, alice, 'https://two.alice', [first])
    await admit(first, [0])
    await admit(second, [0], [0])
    expect(await found()).toEqual([outpoint(second)])
    expectOverlayError(await send(first), [409, 'ERR_ADVERTISEMENT_SPENT'])
    await admit(second, [0], [0])
    const revocation = await makeTransaction(chain, alice, [], { spends: [second] })
    await admit(revocation, [], [0])
    expect(await found()).toEqual([])
    for (const transaction of [first, second])
      expect((await send(transaction)).status).toBe(transaction === first ? 409 : 200)
    await admit(revocation, [], [0])
    expect(await found()).toEqual([])
  })

  test('advertisements that ancestors of a transaction spend are removed too', async () => {
    const first = await anoint(chain, alice)
    const second = await anoint(chain, alice, 'https://two.alice', [first])
    const third = await anoint(chain, alice, 'https://three.alice', [second])
    await admit(first, [0])
    await admit(third, [0])
    expectOverlayError(await send(first), [409, 'ERR_ADVERTISEMENT_SPENT'])
    expect(await found()).toEqual([outpoint(third)])
  })

  test('advertisements submitted together with their spends are all removed', async () => {
    const nodes = engine === 'mysql' ? [server, await joinServer(server)] : [server]
    const sendTo = async ({ origin }: TestServer, transaction: Transaction): Promise<number> =>
      (await submit(origin, transaction.toBEEF(), from)).status
    const pairs = await Promise.all(
      Array.from({ length: 5 }, async (_, i) => {
        const first = await anoint(chain, alice, `https://${i}.alice`)
        await admit(first, [0])
        return [first, await makeTransaction(chain, alice, [], { spends: [first] })]
      }),
    )
    const answers = await Promise.all(
      nodes.flatMap((node) =>
        pairs.map(
          async ([first, second]) =>
            await Promise.all([sendTo(node, first!), sendTo(node, second!)]),
        ),
      ),
    )
    expect(
      answers.filter(([first, second]) => ![200, 409].includes(first) || second !== 200),
    ).toEqual([])
    expect(await found()).toEqual([])
  })

  test('the second spend of an output is rejected unless it is in a block', async () => {
    const first = await anoint(chain, alice, 'https://one.alice')
    const [kept, other] = [
      await anoint(chain, alice, 'https://two.alice', [first]),
      await anoint(chain, alice, 'https://three.alice', [first]),
    ]
    await admit(first, [0])
    await admit(kept, [0], [0])
    expectOverlayError(await send(other), [409, 'ERR_ADVERTISEMENT_SPENT'])
    expect(await found()).toEqual([outpoint(kept)])
    await admit(chain.mine(other), [0], [0])
    expect(await found()).toEqual([outpoint(other)])
  })

  const advertise = async (
    ...parameters: Parameters<typeof lockAdvertisement>
  ): Promise<number[]> => {
    return (await makeTransaction(chain, alice, [await lockAdvertisement(...parameters)])).toBEEF()
  }
  const withFunds = async (bend: (funds: Transaction) => void): Promise<number[]> => {
    const funds = chain.mint(alice, 10_000)
    bend(funds)
    return (
      await makeTransaction(chain, alice, [await lockAdvertisement(alice)], { funds })
    ).toBEEF()
  }
  const REFUSED: Array<[string, string, RegExp, () => Promise<Uint8Array | number[]>]> = [
    [
      'a host with a trailing slash',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*slash/,
      async () => (await anoint(chain, alice, 'https://one.alice/')).toBEEF(),
    ],
    [
      'a host with a path that resolves to a slash',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*slash/,
      async () => (await anoint(chain, alice, 'https://one.alice/a/..')).toBEEF(),
    ],
    [
      'a host with a backslash',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*slash/,
      async () => (await anoint(chain, alice, 'https://one.alice\\')).toBEEF(),
    ],
    [
      'a host after three slashes',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*slash/,
      async () => (await anoint(chain, alice, 'https:///one.alice')).toBEEF(),
    ],
    [
      'a signature by another key',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*signature/,
      async () => {
        const script = await lockAdvertisement(alice)
        const { chunks } = await lockAdvertisement(PrivateKey.fromRandom())
        script.chunks[4] = chunks[4]!
        return (await makeTransaction(chain, alice, [script])).toBEEF()
      },
    ],
    [
      "an advertisement of another's identity",
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*signature/,
      async () => await advertise(alice, { identityKey: identityOf(PrivateKey.fromRandom()) }),
    ],
    [
      'a host that is not a URL',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*URL/,
      async () => await advertise(alice, { host: 'box.alice' }),
    ],
    [
      'a host of another scheme',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*URL/,
      async () => await advertise(alice, { host: 'file:///etc/passwd' }),
    ],
    [
      'a host with a blank in it',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*URL/,
      async () => await advertise(alice, { host: 'https://box.alice/ x' }),
    ],
    [
      'a host that is too long',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*URL/,
      async () => await advertise(alice, { host: `https://box.alice/${'x'.repeat(240)}` }),
    ],
    [
      'no identity key',
      'ERR_INVALID_ADVERTISEMENT',
      /Output 0 .*identity key/,
      async () =>
        await advertise(alice, { identityKey: '02'.repeat(33).slice(0, 66).replace(/^02/, '05') }),
    ],
    [
      'no advertisement at all',
      'ERR_INVALID_ADVERTISEMENT',
      /no output that is an advertisement/,
      async () => (await makeTransaction(chain, alice, [])).toBEEF(),
    ],
    [
      'a fourth field',
      'ERR_INVALID_ADVERTISEMENT',
      /no output that is an advertisement/,
      async () => {
        const script = await lockAdvertisement(alice)
        script.chunks.splice(2, 0, script.chunks[2]!)
        script.chunks.at(-1)!.op = 0x6d
        return (await makeTransaction(chain, alice, [script])).toBEEF()
      },
    ],
    [
      'a forged proof',
      'ERR_INVALID_TRANSACTION',
      /the proof of .* does not lead to a block/,
      async () =>
        await withFunds((funds) => {
          const {
            blockHeight,
            path: [[leaf] = []],
          } = funds.merklePath!
          funds.merklePath = new MerklePath(blockHeight, [
            [leaf!, { offset: 1, hash: 'ab'.repeat(32) }],
          ])
        }),
    ],
    [
      'a script that does not unlock',
      'ERR_INVALID_TRANSACTION',
      /./,
      async () => {
        const [input] = (await anoint(chain, alice)).inputs
        const {
          inputs: [{ unlockingScript } = {}],
          outputs,
        } = await anoint(chain, alice)
        return new Transaction(
          1,
          [
            {
              sourceTransaction: input!.sourceTransaction!,
              sourceOutputIndex: 0,
              unlockingScript: unlockingScript!,
              sequence: 0xffffffff,
            },
          ],
          outputs,
        ).toBEEF()
      },
    ],
    [
      'one output spent twice',
      'ERR_INVALID_TRANSACTION',
      /twice/,
      async () => {
        const first = await anoint(chain, alice)
        return (await makeTransaction(chain, alice, [], { spends: [first, first] })).toBEEF()
      },
    ],
    ['rubbish', 'ERR_INVALID_TRANSACTION', /./, async () => randomBytes(1000)],
    ['nothing', 'ERR_INVALID_TRANSACTION', /./, async () => []],
    [
      'bytes after the transaction',
      'ERR_INVALID_TRANSACTION',
      /bytes after the BEEF/,
      async () => [...(await anoint(chain, alice)).toBEEF(), 0],
    ],
  ]

  // The server rejects them before it queries the database, so two suffice for the second engine.
  test.each(engine === 'sqlite' ? REFUSED : REFUSED.slice(0, 2))(
    '%s is rejected with a reason',
    async (_name, code, why, make) => {
      const answer = await submitBeef(await make())
      expectOverlayError(answer, [400, code])
      expect(answer.body.description).toMatch(why)
      expect(await found()).toEqual([])
    },
  )

  test('a body over the maximum is not read', async () => {
    expectOverlayError(
      await submitBeef(randomBytes(8 * 1024 * 1024)),
      [413, 'ERR_BODY_TOO_LARGE'],
      { limit: 256 * 1024 },
    )
    expectOverlayError(
      await lookup(
        server.origin,
        JSON.stringify({ service: 'ls_messagebox', query: { host: 'x'.repeat(100_000) } }),
      ),
      [413, 'ERR_BODY_TOO_LARGE'],
      { limit: 16 * 1024 },
    )
  })

  test('an identity can have at most twenty advertisements', async () => {
    const scripts = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, i) => await lockAdvertisement(alice, { host: `https://${i}.alice` }),
      ),
    )
    const thousand = await makeTransaction(
      chain,
      alice,
      Array.from({ length: 1000 }, (_, i) => scripts[i % 20]!),
    )
    expectOverlayError(await send(thousand), [429, 'ERR_TOO_MANY_ADVERTISEMENTS'], { limit: 5 })
    expectOverlayError(
      await send(await makeTransaction(chain, alice, scripts.slice(0, 6))),
      [429, 'ERR_TOO_MANY_ADVERTISEMENTS'],
      { limit: 5 },
    )
    const four = await Promise.all(
      [0, 5, 10, 15].map(
        async (first) => await makeTransaction(chain, alice, scripts.slice(first, first + 5)),
      ),
    )
    for (const transaction of four) await admit(transaction, [0, 1, 2, 3, 4])
    expect((await found()).length).toBe(20)
    expectOverlayError(
      await send(await anoint(chain, alice)),
      [429, 'ERR_TOO_MANY_ADVERTISEMENTS'],
      { limit: 20 },
    )
    await admit(four[3]!, [0, 1, 2, 3, 4])
    await admit(await anoint(chain, alice, 'https://1.alice'), [0])
    await admit(await anoint(chain, alice, 'https://new.alice', [four[0]!]), [0], [0])
    await admit(await anoint(chain, PrivateKey.fromRandom()), [0])
    expect((await found()).length).toBe(20)
  })

  /** An output of another key with the fields and the signature of an advertisement. */
  const copyOf = async (
    { outputs: [advertised] }: Transaction,
    thief: PrivateKey,
  ): Promise<LockingScript> =>
    new LockingScript([
      ...(await lockAdvertisement(thief)).chunks.slice(0, 2),
      ...advertised!.lockingScript.chunks.slice(2),
    ])

  test('copies of an advertisement do not block or replace those of its owner', async () => {
    const mallory = PrivateKey.fromRandom()
    const [first, second] = [
      await anoint(chain, alice, 'https://old.alice'),
      await anoint(chain, alice, 'https://old.alice'),
    ]
    await admit(first, [0])
    await admit(second, [0])
    const copies = await Promise.all(
      Array.from(
        { length: 5 },
        async () =>
          await makeTransaction(chain, mallory, [
            await copyOf(first, mallory),
            ...Array.from({ length: 4 }, () => first.outputs[0]!.lockingScript),
          ]),
      ),
    )
    for (const copy of copies) expect((await send(copy)).status).toBe(200)
    const standing = await found()
    expect([standing.length, standing.at(-1)]).toEqual([5, outpoint(first)])
    const moved = await anoint(chain, alice, 'https://new.alice')
    await admit(moved, [0])
    expect((await found())[0]).toBe(outpoint(moved))

    // A displaced advertisement can be submitted again once there is room, unless it was spent.
    expectOverlayError(await send(second), [429, 'ERR_TOO_MANY_ADVERTISEMENTS'], { limit: 5 })
    await admit(await makeTransaction(chain, alice, [], { spends: [first] }), [], [0])
    await admit(second, [0])
    const fresh = await makeTransaction(
      chain,
      mallory,
      Array.from({ length: 5 }, () => first.outputs[0]!.lockingScript),
    )
    expect((await send(fresh)).status).toBe(200)
    await admit(await makeTransaction(chain, alice, [], { spends: [second] }), [], [0])
    expectOverlayError(await send(second), [409, 'ERR_ADVERTISEMENT_SPENT'])
  })

  test('a spent advertisement stays removed even if its copies are spent', async () => {
    const mallory = PrivateKey.fromRandom()
    const first = await anoint(chain, alice)
    await admit(first, [0])
    await admit(await makeTransaction(chain, alice, [], { spends: [first] }), [], [0])
    const copy = await makeTransaction(chain, mallory, [await copyOf(first, mallory)])
    expectOverlayError(await send(await makeTransaction(chain, mallory, [], { spends: [copy] })), [
      400,
      'ERR_INVALID_ADVERTISEMENT',
    ])
    // Spends that were not admitted are not kept, so they do not displace those of the owner.
    expect((await send(copy)).body).toEqual(steak([0]))
    expectOverlayError(await send(first), [409, 'ERR_ADVERTISEMENT_SPENT'])
  })

  test('of two spends of one output, on two nodes at once, one is admitted', async () => {
    const two = engine === 'mysql' ? await joinServer(server) : server
    for (let round = 0; round < 6; round++) {
      const key = PrivateKey.fromRandom()
      const first = await anoint(chain, key)
      expect(
        (await submit(server.origin, first.toBEEF(), { 'x-forwarded-for': `10.1.1.${round}` }))
          .status,
      ).toBe(200)
      const rivals = await Promise.all(
        ['a', 'b'].map(async (host) => await anoint(chain, key, `https://${host}.alice`, [first])),
      )
      const answers = await Promise.all(
        rivals.map(
          async (rival, i) =>
            await submit([server, two][i]!.origin, rival.toBEEF(), {
              'x-forwarded-for': `10.1.1.${round}`,
            }),
        ),
      )
      expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409])
      expect((await found(key)).length).toBe(1)
    }
  })

  test('a transaction over the maximum size or number of ancestors is rejected', async () => {
    const padding = new LockingScript([
      { op: 0 },
      { op: OP.OP_RETURN },
      { op: OP.OP_PUSHDATA4, data: Array.from({ length: 64 * 1024 }, () => 7) },
    ])
    const large = await send(
      await makeTransaction(chain, alice, [await lockAdvertisement(alice), padding]),
    )
    expectOverlayError(large, [400, 'ERR_INVALID_TRANSACTION'], { limit: 64 * 1024 })
    let funds = chain.mint(alice, 10_000)
    for (let i = 0; i < 20; i++) {
      const next = new Transaction(
        1,
        [],
        [{ satoshis: 10_000, lockingScript: new P2PKH().lock(alice.toPublicKey().toHash()) }],
      )
      next.addInput({
        sourceTransaction: funds,
        sourceOutputIndex: 0,
        unlockingScriptTemplate: new P2PKH().unlock(alice),
        sequence: 0xffffffff,
      })
      await next.sign()
      funds = next
    }
    const chained = await send(
      await makeTransaction(chain, alice, [await lockAdvertisement(alice)], { funds }),
    )
    expectOverlayError(chained, [400, 'ERR_INVALID_TRANSACTION'])
    expect(chained.body.description).toMatch(/more than 20/)
  })

  test('while the service of block headers is away, submissions fail', async () => {
    const transaction = await anoint(chain, alice)
    chain.headersAway = true
    try {
      expectOverlayError(await send(transaction), [503, 'ERR_PROOFS_UNAVAILABLE'])
    } finally {
      chain.headersAway = false
    }
    expect(await found()).toEqual([])
    await admit(transaction, [0])
  })
})
