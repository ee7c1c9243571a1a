import { Beef, MerklePath, PrivateKey, Transaction } from '@bsv/sdk'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { Knex } from 'knex'
import { randomUUID } from 'node:crypto'
import { TestChain } from '../../tools/chain/chain'
import { ENGINES } from '../../tools/databases/databases'
import { lightSocket, startLive, until } from '../../tools/clients/live'
import { ANYONE, pay, type Due, type MadePayment } from '../../tools/chain/payer'
import { expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, type Answer, type HandSession } from '../../tools/clients/signedRequests'

const FEE = 10
const PRICE = 100

describe.each(ENGINES)('payments on %s', (engine) => {
  let chain: TestChain
  let server: TestServer
  let payerKey: PrivateKey
  let payer: HandSession
  let recipient: HandSession
  let stranger: string

  beforeAll(async () => {
    chain = await TestChain.start()
    server = await startLive({ engine, env: { ...chain.env, DELIVERY_FEES: `posted=${FEE}` } })
    payerKey = PrivateKey.fromRandom()
    payer = await handshake(server.origin, payerKey)
    recipient = await handshake(server.origin)
    stranger = PrivateKey.fromRandom().toPublicKey().toString()
    expect(
      (await post(recipient, '/permissions/set', { messageBox: 'posted', recipientFee: PRICE }))
        .status,
    ).toBe(200)
  })

  const toServer = (satoshis = FEE): Due => ({ satoshis, payee: payer.serverKey, from: 'payer' })
  const toRecipient = (satoshis = PRICE, payee = recipient.identityKey): Due => ({
    satoshis,
    payee,
    from: 'anyone',
  })
  const messageOf = (messageId: string): object => ({
    recipient: recipient.identityKey,
    messageBox: 'posted',
    messageId,
    body: 'paid for',
  })

  async function send(payment: unknown, messageId: string = randomUUID()): Promise<Answer> {
    return await post(payer, '/sendMessage', { message: messageOf(messageId), payment })
  }

  /** The error also has the amounts if they are the reason. */
  function expectFraud(
    answer: Answer,
    status: number,
    code: string,
    amounts?: [due: number, paid: number],
  ): void {
    expectRefusal(
      answer,
      status,
      code,
      amounts === undefined ? {} : { due: amounts[0], paid: amounts[1] },
    )
  }

  async function listed(): Promise<Array<{ messageId: string; body: string }>> {
    return (await post(recipient, '/listMessages', { messageBox: 'posted' })).body.messages as never
  }

  const serverKnex = (): Knex => server.server.context.knex
  const outpointId = ({ tx }: { tx: number[] }): string => Transaction.fromAtomicBEEF(tx).id('hex')

  /** Changes a valid payment. */
  type Bend = (made: MadePayment) => unknown

  const made = async (dues: Due[], bend: Bend = ({ payment }) => payment): Promise<unknown> =>
    bend(await pay(chain, payerKey, dues))
  const good = (): Due[] => [toServer(), toRecipient()]

  type Fraud = [
    name: string,
    status: number,
    code: string,
    makePayment: () => Promise<unknown>,
    amounts?: [due: number, paid: number],
  ]

  const FRAUDS: Fraud[] = [
    ['no payment', 400, 'ERR_MISSING_PAYMENT_TX', async () => undefined],
    [
      'a payment without a transaction',
      400,
      'ERR_MISSING_PAYMENT_TX',
      async () => await made(good(), ({ payment }) => ({ ...payment, tx: undefined })),
    ],
    [
      'a payment without outputs',
      400,
      'ERR_MISSING_DELIVERY_OUTPUT',
      async () => await made(good(), ({ payment }) => ({ ...payment, outputs: [] })),
    ],
    [
      'a payment without an output for the recipient',
      400,
      'ERR_INSUFFICIENT_OUTPUTS',
      async () => await made([toServer()]),
    ],
    [
      'a payment of 1 satoshi for a fee of 10',
      400,
      'ERR_INSUFFICIENT_PAYMENT',
      async () => await made([toServer(1), toRecipient()]),
      [FEE, 1],
    ],
    [
      'a payment below the price of the recipient',
      400,
      'ERR_INSUFFICIENT_PAYMENT',
      async () => await made([toServer(), toRecipient(PRICE - 1)]),
      [PRICE, PRICE - 1],
    ],
    [
      'a fee that the payer pays to itself',
      400,
      'ERR_PAYMENT_NOT_TO_PAYEE',
      async () => await made([{ ...toServer(), payee: payer.identityKey }, toRecipient()]),
    ],
    [
      'a price paid to another identity',
      400,
      'ERR_PAYMENT_NOT_TO_PAYEE',
      async () => await made([toServer(), toRecipient(PRICE, stranger)]),
    ],
    [
      "a price locked with the payer's own key",
      400,
      'ERR_PAYMENT_NOT_TO_PAYEE',
      async () => await made([toServer(), { ...toRecipient(), from: 'payer' }]),
    ],
    [
      'a basket insertion',
      400,
      'ERR_PAYMENT_NOT_TO_PAYEE',
      async () =>
        await made(
          good(),
          ({
            payment: {
              outputs: [first, second],
              ...payment
            },
          }) => ({
            ...payment,
            outputs: [
              { ...first, protocol: 'basket insertion', insertionRemittance: { basket: 'mine' } },
              second,
            ],
          }),
        ),
    ],
    [
      'one output counted twice',
      400,
      'ERR_PAYMENT_NOT_TO_PAYEE',
      async () =>
        await made(
          [toServer(), toRecipient(PRICE / 2)],
          ({
            payment: {
              outputs: [first, second],
              ...payment
            },
          }) => ({ ...payment, outputs: [first, second, second] }),
        ),
    ],
    [
      'a missing output',
      400,
      'ERR_PAYMENT_NOT_TO_PAYEE',
      async () =>
        await made(
          good(),
          ({
            payment: {
              outputs: [first, second],
              ...payment
            },
          }) => ({ ...payment, outputs: [first, { ...second, outputIndex: 7 }] }),
        ),
    ],
    [
      'a wrong signature',
      400,
      'ERR_INVALID_PAYMENT',
      async () =>
        await made(good(), ({ transaction, payment }) => {
          // The signatures are unchanged and cover other amounts.
          const [first, ...others] = transaction.outputs
          const inputs = transaction.inputs.map(
            ({ unlockingScriptTemplate: _template, ...input }) => input,
          )
          const forged = new Transaction(
            transaction.version,
            inputs,
            [{ ...first!, satoshis: FEE + 1 }, ...others],
            transaction.lockTime,
          )
          return { ...payment, tx: forged.toAtomicBEEF() }
        }),
    ],
    [
      'outputs of more than the inputs',
      400,
      'ERR_INVALID_PAYMENT',
      async () => await made([toServer(9_950), toRecipient()]),
    ],
    [
      'one outpoint in two inputs',
      400,
      'ERR_INVALID_PAYMENT',
      async () => {
        const funds = chain.mint(payerKey, PRICE)
        return (await pay(chain, payerKey, good(), { spend: [funds, funds] })).payment
      },
    ],
    [
      'a forged merkle path',
      400,
      'ERR_INVALID_PAYMENT',
      async () => {
        const funds = chain.mint(payerKey, 10_000)
        const {
          blockHeight,
          path: [[leaf] = []],
        } = funds.merklePath!
        funds.merklePath = new MerklePath(blockHeight, [
          [leaf!, { offset: 1, hash: 'ab'.repeat(32) }],
        ])
        return (await pay(chain, payerKey, good(), { funds })).payment
      },
    ],
    [
      'a coin in a block that the service does not know',
      503,
      'ERR_PAYMENTS_UNAVAILABLE',
      async () => {
        const funds = chain.mint(payerKey, 10_000)
        const { path } = funds.merklePath!
        funds.merklePath = new MerklePath(900_000, path)
        return (await pay(chain, payerKey, good(), { funds })).payment
      },
    ],
    [
      'a transaction that is not final',
      400,
      'ERR_INVALID_PAYMENT',
      async () =>
        await made(good(), ({ transaction, payment }) => {
          const inputs = transaction.inputs.map(
            ({ unlockingScriptTemplate: _template, ...input }) => ({ ...input, sequence: 0 }),
          )
          return {
            ...payment,
            tx: new Transaction(
              transaction.version,
              inputs,
              transaction.outputs,
              4_000_000_000,
            ).toAtomicBEEF(),
          }
        }),
    ],
    [
      'another transaction in the BEEF, in a block that the service does not know',
      503,
      'ERR_PAYMENTS_UNAVAILABLE',
      async () =>
        await made(good(), ({ transaction, payment }) => {
          const beef = new Beef()
          const alien = chain.mint(payerKey, 5)
          alien.merklePath = new MerklePath(900_000, alien.merklePath!.path)
          beef.mergeTransaction(alien)
          beef.mergeTransaction(transaction)
          return { ...payment, tx: beef.toBinaryAtomic(transaction.id('hex')) }
        }),
    ],
    [
      'random bytes',
      400,
      'ERR_INVALID_PAYMENT',
      async () => await made(good(), ({ payment }) => ({ ...payment, tx: [1, 2, 3] })),
    ],
    [
      'bytes after the transaction',
      400,
      'ERR_INVALID_PAYMENT',
      async () => await made(good(), ({ payment }) => ({ ...payment, tx: [...payment.tx, 0] })),
    ],
    [
      'a double spend',
      400,
      'ERR_PAYMENT_REJECTED',
      async () => {
        const funds = chain.mint(payerKey, 10_000)
        expect((await send((await pay(chain, payerKey, good(), { funds })).payment)).status).toBe(
          200,
        )
        return (await pay(chain, payerKey, good(), { funds })).payment
      },
    ],
  ]

  test('a paid message arrives with its payment; unproven ancestors are broadcast', async () => {
    const { payment, transaction } = await pay(chain, payerKey, [toServer(), toRecipient()])
    const answer = await send(payment, 'paid')
    expect([answer.status, answer.body]).toEqual([
      200,
      expect.objectContaining({ status: 'success' }),
    ])
    const [message] = (await listed()).filter(({ messageId }) => messageId === 'paid')
    expect(JSON.parse(message!.body)).toEqual({
      message: 'paid for',
      payment: { ...payment, outputs: [payment.outputs[1]] },
    })
    expect(chain.broadcast).toContain(transaction.id('hex'))
  })

  test.each(FRAUDS)(
    '%s is rejected, and no message is stored',
    async (...[, status, code, makePayment, amounts]: Fraud) => {
      const payment = await makePayment()
      const before = (await listed()).length
      expectFraud(await send(payment), status, code, amounts)
      expect((await listed()).length).toBe(before)
    },
  )

  test.each(FRAUDS)('%s is rejected over the socket', async (_name, _status, code, makePayment) => {
    const socket = await lightSocket(server.origin, {
      key: Buffer.from(payerKey.toHex().padStart(64, '0'), 'hex'),
    }).authenticate()
    const payment = await makePayment()
    const before = (await listed()).length
    const roomId = `${recipient.identityKey}-posted`
    socket.emit('sendMessage', { roomId, message: { ...messageOf(randomUUID()) }, payment })
    expect(await socket.next(`sendMessageAck-${roomId}`)).toMatchObject({ status: 'error', code })
    expect((await listed()).length).toBe(before)
  })

  describe('one payment', () => {
    test('pays for one message: a repeat succeeds, another message is rejected', async () => {
      const { payment } = await pay(chain, payerKey, [toServer(), toRecipient()])
      expect((await send(payment, 'once')).status).toBe(200)
      expect((await send(payment, 'once')).status).toBe(200)
      expectRefusal(await send(payment, 'twice'), 409, 'ERR_PAYMENT_REPLAYED')
      expect((await listed()).filter(({ messageId }) => /once|twice/.test(messageId)).length).toBe(
        1,
      )
    })

    test('pays for one of 20 messages at once', async () => {
      const { payment } = await pay(chain, payerKey, [toServer(), toRecipient()])
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          // On a busy machine, verification may time out.
          for (;;) {
            const answer = await send(payment, `race-${i}`)
            if (answer.status !== 503) return answer
          }
        }),
      )
      expect(answers.filter(({ status }) => status === 200).length).toBe(1)
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]))
      expect((await listed()).filter(({ messageId }) => messageId.startsWith('race-')).length).toBe(
        1,
      )
    })
  })

  describe.each([
    ['the broadcaster', 'arcAway'],
    ['the service of block headers', 'headersAway'],
  ] as const)('while %s is away', (_name, away) => {
    test('the message is not delivered, and the payment can be used afterwards', async () => {
      const { payment } = await pay(chain, payerKey, [toServer(), toRecipient()])
      chain[away] = true
      expectRefusal(await send(payment, `during-${away}`), 503, 'ERR_PAYMENTS_UNAVAILABLE')
      chain[away] = false
      expect((await send(payment, `after-${away}`)).status).toBe(200)
      expect((await listed()).map(({ messageId }) => messageId)).not.toContain(`during-${away}`)
    })
  })

  test.each([
    ['an HTML page', '<html>welcome</html>'],
    ['an empty body', ''],
    ['another transaction', JSON.stringify({ txid: '00'.repeat(32), txStatus: 'SEEN_ON_NETWORK' })],
    ['a transaction that is not sent on yet', JSON.stringify({ txStatus: 'RECEIVED' })],
    ['a transaction with unknown parents', JSON.stringify({ txStatus: 'SEEN_IN_ORPHAN_MEMPOOL' })],
  ])('the message is not delivered if the broadcaster answers with %s', async (_name, answer) => {
    const { payment } = await pay(chain, payerKey, good())
    chain.arcAnswer = answer
    expectRefusal(await send(payment), 503, 'ERR_PAYMENTS_UNAVAILABLE')
    chain.arcAnswer = undefined
    expect((await send(payment)).status).toBe(200)
  })

  test('the server asks again for a block that the service did not know', async () => {
    const funds = chain.mint(payerKey, 10_000)
    const { blockHeight, path } = funds.merklePath!
    funds.merklePath = new MerklePath(blockHeight + 1, path)
    // The payer may know newer blocks than the service, which is not a fraud.
    expectRefusal(
      await send((await pay(chain, payerKey, good(), { funds })).payment),
      503,
      'ERR_PAYMENTS_UNAVAILABLE',
    )
    const { payment } = await pay(chain, payerKey, good())

    expect((await send(payment)).status).toBe(200)
  })

  test('a message sent again with other outputs does not take over the claim', async () => {
    const {
      payment: {
        outputs: [server, first, second],
        ...payment
      },
    } = await pay(chain, payerKey, [toServer(), toRecipient(), toRecipient()])
    let open = (): void => {}
    chain.arcTurn = new Promise((resolve) => {
      open = resolve
    })
    const waiting = send({ ...payment, outputs: [server, first] }, 'held')
    await until(
      async () => (await serverKnex()('payments').where({ state: 'claimed' })).length === 1,
    )
    expectRefusal(
      await send({ ...payment, outputs: [server, second] }, 'held'),
      409,
      'ERR_PAYMENT_REPLAYED',
    )
    open()
    chain.arcTurn = Promise.resolve()

    expect((await waiting).status).toBe(200)
    const [message] = (await listed()).filter(({ messageId }) => messageId === 'held')
    expect(JSON.parse(message!.body).payment.outputs).toEqual([first])
  })

  test('a payment for a duplicate copy can pay for another message', async () => {
    const eve = await handshake(server.origin)
    const message = {
      ...messageOf('copied'),
      recipients: [recipient.identityKey, eve.identityKey],
      messageId: ['copied', 'fresh'],
    }
    expect((await send((await pay(chain, payerKey, good())).payment, 'copied')).status).toBe(200)
    const { payment } = await pay(chain, payerKey, [toServer(), toRecipient()])

    const answer = await post(payer, '/sendMessage', { message, payment })
    expect(answer.body.results).toEqual([
      { recipient: recipient.identityKey, messageId: 'copied', duplicate: true },
      { recipient: eve.identityKey, messageId: 'fresh' },
    ])
    const again = await pay(chain, payerKey, [toServer()], { funds: chain.mint(payerKey, 10_000) })
    expectFraud(await send(again.payment), 400, 'ERR_INSUFFICIENT_OUTPUTS')
    expect(
      await serverKnex()('payment_outpoints').where({ outpoint: `${outpointId(payment)}.1` }),
    ).toEqual([])
    expect(
      await serverKnex()('payment_outpoints').where({ outpoint: `${outpointId(payment)}.0` }),
    ).toHaveLength(1)
  })

  test('a message over the total maximum is rejected before a broadcast', async () => {
    const recipients = [
      recipient.identityKey,
      ...Array.from({ length: 30 }, () => PrivateKey.fromRandom().toPublicKey().toString()),
    ]
    const { payment, transaction } = await pay(chain, payerKey, good())
    const message = {
      recipients,
      messageBox: 'posted',
      messageId: recipients.map(() => randomUUID()),
      body: 'x'.repeat(3_000_000),
    }

    expectRefusal(
      await post(payer, '/sendMessage', { message, payment }),
      413,
      'ERR_BODY_TOO_LARGE',
      { limit: 64 * 1024 * 1024 },
    )
    expect(chain.broadcast).not.toContain(transaction.id('hex'))
    expect((await send(payment)).status).toBe(200)
  })

  describe('a fee that is set during verification', () => {
    let checking: TestServer

    beforeAll(async () => {
      checking = await startServer({ engine, env: chain.env })
    })

    test.each([
      [-1, 403, 'ERR_DELIVERY_BLOCKED'],
      [200, 400, 'ERR_INSUFFICIENT_PAYMENT'],
    ])('of %i applies, and the payer can use the money', async (recipientFee, status, code) => {
      const [sender, owner] = [
        await handshake(checking.origin, payerKey),
        await handshake(checking.origin),
      ]
      const set = async (fee: number): Promise<unknown> =>
        await post(owner, '/permissions/set', { messageBox: 'door', recipientFee: fee })
      await set(PRICE)
      const { payment, transaction } = await pay(chain, payerKey, [
        toRecipient(PRICE, owner.identityKey),
      ])
      const knock = async (): Promise<Answer> =>
        await post(sender, '/sendMessage', {
          message: {
            recipient: owner.identityKey,
            messageBox: 'door',
            messageId: 'knock',
            body: 'hello',
          },
          payment,
        })
      const setRule = jest.fn(async () => {
        await set(recipientFee)
      })
      chain.beforeHeaders = setRule
      const answer = await knock()
      chain.beforeHeaders = async () => {}

      expect(setRule).toHaveBeenCalled()
      expect([answer.status, answer.body.code]).toEqual([status, code])
      expect(chain.broadcast).not.toContain(transaction.id('hex'))
      await set(PRICE)
      expect((await knock()).status).toBe(200)
    })
  })

  test('the public key of "anyone" is the generator point', () => {
    expect(new PrivateKey(1).toPublicKey().toString()).toBe(ANYONE)
  })
})
