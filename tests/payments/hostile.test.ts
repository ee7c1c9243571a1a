/** Transactions made to be expensive: each is rejected quickly and does not delay others. */
import { Beef, LockingScript, PrivateKey, Transaction, UnlockingScript } from '@bsv/sdk'
import { beforeAll, expect, test } from '@jest/globals'
import { randomBytes, randomUUID } from 'node:crypto'
import { TestChain } from '../../tools/chain/chain'
import { pay } from '../../tools/chain/payer'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, type Answer, type HandSession } from '../../tools/clients/signedRequests'

const ANYBODY_MAY = LockingScript.fromHex('51')

let chain: TestChain
let server: TestServer
let payerKey: PrivateKey
let payer: HandSession

beforeAll(async () => {
  chain = await TestChain.start()
  server = await startServer({ env: { ...chain.env, DELIVERY_FEES: 'posted=10' } })
  payerKey = PrivateKey.fromRandom()
  payer = await handshake(server.origin, payerKey)
})

async function send(payment: unknown, session = payer): Promise<Answer> {
  const message = {
    recipient: session.identityKey,
    messageBox: 'posted',
    messageId: randomUUID(),
    body: 'paid for',
  }
  return await post(session, '/sendMessage', { message, payment })
}

/** Sends a transaction as a payment that claims its first output for the server. */
async function sendTransaction(transaction: Transaction): Promise<Answer> {
  const paymentRemittance = {
    derivationPrefix: 'AAAA',
    derivationSuffix: 'BBBB',
    senderIdentityKey: payer.identityKey,
  }
  return await send({
    tx: transaction.toAtomicBEEF(),
    outputs: [{ outputIndex: 0, protocol: 'wallet payment', paymentRemittance }],
  })
}

/** A chain of unproven transactions, of which the first spends a mined one. */
function rowOf(length: number): Transaction {
  let transaction = chain.mint(payerKey, 1000)
  transaction.outputs[0]!.lockingScript = ANYBODY_MAY
  transaction = chain.mine(
    new Transaction(
      1,
      transaction.inputs.map((input) => ({ ...input })),
      [{ satoshis: 1000, lockingScript: ANYBODY_MAY }],
      transaction.lockTime,
    ),
  )
  for (let made = 0; made < length; made++) {
    transaction = new Transaction(
      1,
      [
        {
          sourceTransaction: transaction,
          sourceOutputIndex: 0,
          unlockingScript: new UnlockingScript([]),
          sequence: 0xffffffff,
        },
      ],
      [{ satoshis: 1000, lockingScript: ANYBODY_MAY }],
    )
  }
  return transaction
}

/** A transaction that spends a mined output with this script. */
function spending(script: LockingScript): Transaction {
  const funds = chain.mine(
    new Transaction(
      1,
      [
        {
          sourceTXID: randomBytes(32).toString('hex'),
          sourceOutputIndex: 0,
          unlockingScript: new UnlockingScript([]),
          sequence: 0,
        },
      ],
      [{ satoshis: 1000, lockingScript: script }],
    ),
  )
  return new Transaction(
    1,
    [
      {
        sourceTransaction: funds,
        sourceOutputIndex: 0,
        unlockingScript: new UnlockingScript([]),
        sequence: 0xffffffff,
      },
    ],
    [{ satoshis: 1000, lockingScript: ANYBODY_MAY }],
  )
}

test('a chain of 100 unproven transactions is verified, one of 101 is rejected', async () => {
  expect(await sendTransaction(rowOf(100))).toMatchObject({
    status: 400,
    body: { code: 'ERR_PAYMENT_NOT_TO_PAYEE' },
  })
  expect(await sendTransaction(rowOf(101))).toMatchObject({
    status: 400,
    body: {
      code: 'ERR_INVALID_PAYMENT',
      description: expect.stringContaining('more than 100 transactions'),
    },
  })
})

test('a transaction with more than 1000 inputs is rejected before a script runs', async () => {
  const funds = chain.mine(
    new Transaction(
      1,
      [
        {
          sourceTXID: randomBytes(32).toString('hex'),
          sourceOutputIndex: 0,
          unlockingScript: new UnlockingScript([]),
          sequence: 0,
        },
      ],
      Array.from({ length: 1001 }, () => ({ satoshis: 1, lockingScript: ANYBODY_MAY })),
    ),
  )
  const inputs = funds.outputs.map((_output, sourceOutputIndex) => ({
    sourceTransaction: funds,
    sourceOutputIndex,
    unlockingScript: new UnlockingScript([]),
    sequence: 0xffffffff,
  }))

  expect(
    await sendTransaction(
      new Transaction(1, inputs, [{ satoshis: 10, lockingScript: ANYBODY_MAY }]),
    ),
  ).toMatchObject({
    status: 400,
    body: {
      code: 'ERR_INVALID_PAYMENT',
      description: expect.stringContaining('more than 1000 inputs'),
    },
  })
})

test('a transaction with more than 2000 outputs is rejected', async () => {
  const transaction = spending(ANYBODY_MAY)
  for (let more = 0; more < 2000; more++)
    transaction.addOutput({ satoshis: 0, lockingScript: ANYBODY_MAY })

  expect(await sendTransaction(transaction)).toMatchObject({
    status: 400,
    body: {
      code: 'ERR_INVALID_PAYMENT',
      description: expect.stringContaining('more than 2000 outputs'),
    },
  })
})

test('a payment of more than 1 MiB is rejected unread, as numbers and in base64', async () => {
  const large = randomBytes(1024 * 1024 + 1)
  const expected = { status: 400, body: { code: 'ERR_INVALID_PAYMENT', limit: 1024 * 1024 } }

  expect(await send({ tx: [...large], outputs: [] })).toMatchObject(expected)
  expect(await send({ tx: large.toString('base64'), outputs: [] })).toMatchObject(expected)
})

test('a BEEF that claims more elements than it has is rejected', async () => {
  const beef = Buffer.from(new Beef().toBinary())
  // After the version, it claims billions of proofs and contains none.
  const claiming = Buffer.concat([beef.subarray(0, 4), Buffer.from('feffffffff', 'hex')])

  for (const tx of [
    claiming,
    randomBytes(1000),
    Buffer.concat([Buffer.from('01010101', 'hex'), randomBytes(32), claiming]),
  ]) {
    expect(await send({ tx: [...tx], outputs: [{}] })).toMatchObject({
      status: 400,
      body: { code: 'ERR_INVALID_PAYMENT' },
    })
  }
})

test('a script over the maximum memory is rejected', async () => {
  // 1, 2, 4, … bytes: 40 doublings make a terabyte.
  const doubling = LockingScript.fromHex(`51${'767e'.repeat(40)}`)

  expect(await sendTransaction(spending(doubling))).toMatchObject({
    status: 400,
    body: { code: 'ERR_INVALID_PAYMENT' },
  })
})

test('a script that allocates gigabytes ends at most its own process', async () => {
  // OP_NUM2BIN makes a number of 512 MiB.
  const hoarding = LockingScript.fromHex('51' + '0400000020' + '80')
  const answer = await sendTransaction(spending(hoarding))

  expect(answer).toMatchObject({ status: 400, body: { code: 'ERR_INVALID_PAYMENT' } })
  expect((await fetch(`${server.origin}/health`)).status).toBe(200)
  const { payment } = await pay(chain, payerKey, [
    { satoshis: 10, payee: payer.serverKey, from: 'payer' },
  ])
  expect((await send(payment)).status).toBe(200)
})

test('a missing ancestor is detected before a script runs', async () => {
  const hashing = LockingScript.fromHex(
    `4ea0860100${'00'.repeat(100_000)}${'76a875'.repeat(100_000)}`,
  )
  const transaction = spending(hashing)
  const { sourceTransaction } = transaction.inputs[0]!
  const floating = new Transaction(
    1,
    [
      {
        sourceTXID: randomBytes(32).toString('hex'),
        sourceOutputIndex: 0,
        unlockingScript: new UnlockingScript([]),
        sequence: 0xffffffff,
      },
    ],
    sourceTransaction!.outputs,
  )
  transaction.inputs[0] = {
    ...transaction.inputs[0]!,
    sourceTransaction: floating,
    sourceTXID: floating.id('hex'),
  }
  const paymentRemittance = {
    derivationPrefix: 'AAAA',
    derivationSuffix: 'BBBB',
    senderIdentityKey: payer.identityKey,
  }

  expect(
    await send({
      tx: transaction.toAtomicBEEF(true),
      outputs: [{ outputIndex: 0, protocol: 'wallet payment', paymentRemittance }],
    }),
  ).toMatchObject({
    status: 400,
    body: { code: 'ERR_INVALID_PAYMENT', description: expect.stringContaining('is missing') },
  })
})

test('a transaction with 2^40 paths to one ancestor is verified once', async () => {
  let parent = spending(ANYBODY_MAY)
  parent.addOutput({ satoshis: 0, lockingScript: ANYBODY_MAY })
  for (let layer = 0; layer < 40; layer++) {
    const inputs = [0, 1].map((sourceOutputIndex) => ({
      sourceTransaction: parent,
      sourceOutputIndex,
      unlockingScript: new UnlockingScript([]),
      sequence: 0xffffffff,
    }))
    parent = new Transaction(
      1,
      inputs,
      [0, 1].map(() => ({ satoshis: 0, lockingScript: ANYBODY_MAY })),
    )
  }

  expect(await sendTransaction(parent)).toMatchObject({
    status: 400,
    body: { code: 'ERR_PAYMENT_NOT_TO_PAYEE' },
  })
})

test('a slow script is cut off without blocking the event loop', async () => {
  // Hashes 100,000 bytes 100,000 times, which takes minutes.
  const hashing = LockingScript.fromHex(
    `4ea0860100${'00'.repeat(100_000)}${'76a875'.repeat(100_000)}`,
  )
  const other = PrivateKey.fromRandom()
  const honest = await handshake(server.origin, other)
  const { payment } = await pay(chain, other, [
    { satoshis: 10, payee: honest.serverKey, from: 'payer' },
  ])
  let slowest = 0
  let busy = true
  const watch = (async () => {
    while (busy) {
      const asked = performance.now()
      await fetch(`${server.origin}/health`)
      slowest = Math.max(slowest, performance.now() - asked)
    }
  })()

  const [hostile, paid] = await Promise.all([
    sendTransaction(spending(hashing)),
    send(payment, honest),
  ])
  busy = false
  await watch

  expect(hostile).toMatchObject({
    status: 400,
    body: { code: 'ERR_INVALID_PAYMENT', description: expect.stringContaining('takes too long') },
  })
  expect(paid.status).toBe(200)
  expect(slowest).toBeLessThan(1000)
})
