/** Slow verification uses up the time of its own address; answers of services are limited. */
import { LockingScript, PrivateKey, Transaction, UnlockingScript } from '@bsv/sdk'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { randomBytes, randomUUID } from 'node:crypto'
import { TestChain } from '../../tools/chain/chain'
import { pay } from '../../tools/chain/payer'
import { serve } from '../../tools/servers/services'
import { startServer, type TestServer } from '../../tools/servers/server'
import {
  handshake,
  sign,
  submit,
  type Answer,
  type HandSession,
} from '../../tools/clients/signedRequests'

/** Hashes 100,000 bytes 100,000 times, which takes minutes. */
const HASHING = LockingScript.fromHex(
  `4ea0860100${'00'.repeat(100_000)}${'76a875'.repeat(100_000)}`,
)

let chain: TestChain

beforeAll(async () => {
  chain = await TestChain.start()
})

async function sendFrom(address: string, session: HandSession, payment: unknown): Promise<Answer> {
  const message = {
    recipient: session.identityKey,
    messageBox: 'posted',
    messageId: randomUUID(),
    body: 'paid for',
  }
  const prepared = await sign(session, {
    target: '/sendMessage',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ message, payment }),
  })
  prepared.init.headers['x-forwarded-for'] = address
  return await submit(session, prepared)
}

function paymentOf(transaction: Transaction, payer: HandSession): object {
  const paymentRemittance = {
    derivationPrefix: 'AAAA',
    derivationSuffix: 'BBBB',
    senderIdentityKey: payer.identityKey,
  }
  return {
    tx: transaction.toAtomicBEEF(),
    outputs: [{ outputIndex: 0, protocol: 'wallet payment', paymentRemittance }],
  }
}

/** A transaction that spends a mined output with these locking and unlocking scripts. */
function spending(locking: LockingScript, unlocking = new UnlockingScript([])): Transaction {
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
      [{ satoshis: 1000, lockingScript: locking }],
    ),
  )
  return new Transaction(
    1,
    [
      {
        sourceTransaction: funds,
        sourceOutputIndex: 0,
        unlockingScript: unlocking,
        sequence: 0xffffffff,
      },
    ],
    [{ satoshis: 1000, lockingScript: LockingScript.fromHex('51') }],
  )
}

async function startPaid(env: Record<string, string> = {}): Promise<TestServer> {
  return await startServer({
    env: { ...chain.env, DELIVERY_FEES: 'posted=10', TRUST_PROXY: '1', ...env },
  })
}

async function honestPayment(
  server: TestServer,
): Promise<{ session: HandSession; payment: object }> {
  const key = PrivateKey.fromRandom()
  const session = await handshake(server.origin, key)
  const { payment } = await pay(chain, key, [
    { satoshis: 10, payee: session.serverKey, from: 'payer' },
  ])
  return { session, payment }
}

describe('verification', () => {
  test('an honest payment waits for at most one of an address with many identities', async () => {
    const server = await startPaid()
    const { session, payment } = await honestPayment(server)
    const order: string[] = []
    const hostile = await Promise.all(
      Array.from({ length: 5 }, async () => await handshake(server.origin)),
    )
    const transaction = spending(HASHING)

    const attacks = hostile.map(
      async (mallory) =>
        await sendFrom('192.0.2.66', mallory, paymentOf(transaction, mallory)).then(({ body }) => {
          order.push('hostile')
          return body
        }),
    )
    await new Promise((resolve) => setTimeout(resolve, 200))
    const paid = await sendFrom('192.0.2.1', session, payment).then((answer) => {
      order.push('honest')
      return answer
    })

    expect(paid.status).toBe(200)
    expect(order.indexOf('honest')).toBeLessThanOrEqual(1)
    for (const body of await Promise.all(attacks))
      expect(body).toMatchObject({
        code: 'ERR_INVALID_PAYMENT',
        description: expect.stringContaining('takes too long'),
      })
  })

  test('an address over its seconds a minute is told to retry; others are served', async () => {
    const server = await startPaid({ VERIFICATION_SECONDS: '1' })
    const mallory = await handshake(server.origin)
    expect(
      (await sendFrom('192.0.2.66', mallory, paymentOf(spending(HASHING), mallory))).status,
    ).toBe(400)

    expect(
      await sendFrom('192.0.2.66', mallory, paymentOf(spending(HASHING), mallory)),
    ).toMatchObject({
      status: 429,
      body: {
        code: 'ERR_RATE_LIMITED',
        description: expect.stringContaining('more than 1 s of a minute'),
        retryAfterMs: expect.any(Number),
      },
    })
    const { session, payment } = await honestPayment(server)
    expect((await sendFrom('192.0.2.1', session, payment)).status).toBe(200)
  })

  test('an unlocking script that does more than push data is rejected unrun', async () => {
    const server = await startPaid()
    const mallory = await handshake(server.origin)
    // It would be valid: 1 plus 1 is 2.
    const unlocking = UnlockingScript.fromHex('515193')
    expect(
      await sendFrom(
        '192.0.2.66',
        mallory,
        paymentOf(spending(LockingScript.fromHex('5287'), unlocking), mallory),
      ),
    ).toMatchObject({
      status: 400,
      body: {
        code: 'ERR_INVALID_PAYMENT',
        description: expect.stringContaining('does more than push data'),
      },
    })
  })
})

describe('a service that the operator has configured', () => {
  test.each<[string, 'ARC_URL' | 'CHAINTRACKS_URL']>([
    ['ARC', 'ARC_URL'],
    ['Chaintracks', 'CHAINTRACKS_URL'],
  ])('%s: an endless answer is cut off, and the payment is not taken', async (_name, variable) => {
    let written = 0
    const url = await serve((request, response) => {
      request.resume()
      const write = (): void => {
        while (!response.destroyed && response.write('x'.repeat(64 * 1024))) written += 64 * 1024
        if (!response.destroyed) response.once('drain', write)
      }
      write()
    })
    const server = await startPaid({ [variable]: url })
    const { session, payment } = await honestPayment(server)

    expect(await sendFrom('192.0.2.1', session, payment)).toMatchObject({
      status: 503,
      body: { code: 'ERR_PAYMENTS_UNAVAILABLE' },
    })
    expect(written).toBeLessThan(20_000_000)
  })

  test.each<[string, 'ARC_URL' | 'CHAINTRACKS_URL']>([
    ['ARC', 'ARC_URL'],
    ['Chaintracks', 'CHAINTRACKS_URL'],
  ])('%s: the server does not follow redirects', async (_name, variable) => {
    let followed = 0
    const elsewhere = await serve((_request, response) => {
      followed++
      response.end('{"status":"success"}')
    })
    const url = await serve((request, response) => {
      request.resume()
      response.writeHead(307, { location: elsewhere }).end()
    })
    const server = await startPaid({ [variable]: url })
    const { session, payment } = await honestPayment(server)

    expect(await sendFrom('192.0.2.1', session, payment)).toMatchObject({
      status: 503,
      body: { code: 'ERR_PAYMENTS_UNAVAILABLE' },
    })
    expect(followed).toBe(0)
  })
})
