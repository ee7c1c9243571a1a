import { MerklePath, PrivateKey, Transaction } from '@bsv/sdk'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { TestChain } from '../helpers/chain'
import { ENGINES } from '../helpers/databases'
import { lightSocket, startLive } from '../helpers/live'
import { ANYONE, pay, type Due, type MadePayment } from '../helpers/payer'
import { expectRefusal } from '../helpers/refusals'
import type { TestServer } from '../helpers/server'
import { handshake, post, type Answer, type HandSession } from '../helpers/signedRequests'

const FEE = 10
const PRICE = 100

describe.each(ENGINES)('payments on %s', engine => {
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
    expect((await post(recipient, '/permissions/set', { messageBox: 'posted', recipientFee: PRICE })).status).toBe(200)
  })

  const toServer = (satoshis = FEE): Due => ({ satoshis, payee: payer.serverKey, from: 'payer' })
  const toRecipient = (satoshis = PRICE, payee = recipient.identityKey): Due => ({ satoshis, payee, from: 'anyone' })
  const messageOf = (messageId: string): object => ({ recipient: recipient.identityKey, messageBox: 'posted', messageId, body: 'paid for' })

  async function send (payment: unknown, messageId: string = randomUUID()): Promise<Answer> {
    return await post(payer, '/sendMessage', { message: messageOf(messageId), payment })
  }

  /** A refusal says more where amounts are concerned. */
  function expectFraud (answer: Answer, status: number, code: string): void {
    const { due, paid, limit } = answer.body
    expectRefusal(answer, status, code, Object.fromEntries(Object.entries({ due, paid, limit }).filter(([, value]) => value !== undefined)))
  }

  async function listed (): Promise<Array<{ messageId: string, body: string }>> {
    return (await post(recipient, '/listMessages', { messageBox: 'posted' })).body.messages as never
  }

  /** Changes a payment that would hold. */
  type Bend = (made: MadePayment) => unknown

  const made = async (dues: Due[], bend: Bend = ({ payment }) => payment): Promise<unknown> => bend(await pay(chain, payerKey, dues))
  const good = (): Due[] => [toServer(), toRecipient()]

  const FRAUDS: Array<[string, number, string, () => Promise<unknown>]> = [
    ['no payment', 400, 'ERR_MISSING_PAYMENT_TX', async () => undefined],
    ['a payment without a transaction', 400, 'ERR_MISSING_PAYMENT_TX', async () => await made(good(), ({ payment }) => ({ ...payment, tx: undefined }))],
    ['no outputs named', 400, 'ERR_MISSING_DELIVERY_OUTPUT', async () => await made(good(), ({ payment }) => ({ ...payment, outputs: [] }))],
    ['nothing for the recipient', 400, 'ERR_INSUFFICIENT_OUTPUTS', async () => await made([toServer()])],
    ['1 satoshi for a fee of 10', 400, 'ERR_INSUFFICIENT_PAYMENT', async () => await made([toServer(1), toRecipient()])],
    ['too little for the recipient', 400, 'ERR_INSUFFICIENT_PAYMENT', async () => await made([toServer(), toRecipient(PRICE - 1)])],
    ['the fee paid to oneself', 400, 'ERR_PAYMENT_NOT_TO_PAYEE', async () => await made([{ ...toServer(), payee: payer.identityKey }, toRecipient()])],
    ['the price paid to a stranger', 400, 'ERR_PAYMENT_NOT_TO_PAYEE', async () => await made([toServer(), toRecipient(PRICE, stranger)])],
    ['the price locked by the payer\'s own key', 400, 'ERR_PAYMENT_NOT_TO_PAYEE', async () => await made([toServer(), { ...toRecipient(), from: 'payer' }])],
    ['a basket insertion', 400, 'ERR_PAYMENT_NOT_TO_PAYEE', async () => await made(good(), ({ payment: { outputs: [first, second], ...payment } }) => ({ ...payment, outputs: [{ ...first, protocol: 'basket insertion', insertionRemittance: { basket: 'mine' } }, second] }))],
    ['one output counted twice', 400, 'ERR_PAYMENT_NOT_TO_PAYEE', async () => await made([toServer(), toRecipient(PRICE / 2)], ({ payment: { outputs: [first, second], ...payment } }) => ({ ...payment, outputs: [first, second, second] }))],
    ['an output that is not there', 400, 'ERR_PAYMENT_NOT_TO_PAYEE', async () => await made(good(), ({ payment: { outputs: [first, second], ...payment } }) => ({ ...payment, outputs: [first, { ...second, outputIndex: 7 }] }))],
    ['a wrong signature', 400, 'ERR_INVALID_PAYMENT', async () => await made(good(), ({ transaction, payment }) => {
      // The signatures stay as they were, over other amounts.
      const [first, ...others] = transaction.outputs
      const inputs = transaction.inputs.map(({ unlockingScriptTemplate: _template, ...input }) => input)
      const forged = new Transaction(transaction.version, inputs, [{ ...first!, satoshis: FEE + 1 }, ...others], transaction.lockTime)
      return { ...payment, tx: forged.toAtomicBEEF() }
    })],
    ['outputs above inputs', 400, 'ERR_INVALID_PAYMENT', async () => await made([toServer(9_950), toRecipient()])],
    ['one outpoint in two inputs', 400, 'ERR_INVALID_PAYMENT', async () => {
      const funds = chain.mint(payerKey, PRICE)
      return (await pay(chain, payerKey, good(), { spend: [funds, funds] })).payment
    }],
    ['a forged merkle path', 400, 'ERR_INVALID_PAYMENT', async () => {
      const funds = chain.mint(payerKey, 10_000)
      const { blockHeight, path: [[leaf] = []] } = funds.merklePath!
      funds.merklePath = new MerklePath(blockHeight, [[leaf!, { offset: 1, hash: 'ab'.repeat(32) }]])
      return (await pay(chain, payerKey, good(), { funds })).payment
    }],
    ['funds that no block holds', 400, 'ERR_INVALID_PAYMENT', async () => {
      const funds = chain.mint(payerKey, 10_000)
      const { path } = funds.merklePath!
      funds.merklePath = new MerklePath(900_000, path)
      return (await pay(chain, payerKey, good(), { funds })).payment
    }],
    ['rubbish', 400, 'ERR_INVALID_PAYMENT', async () => await made(good(), ({ payment }) => ({ ...payment, tx: [1, 2, 3] }))],
    ['something behind the transaction', 400, 'ERR_INVALID_PAYMENT', async () => await made(good(), ({ payment }) => ({ ...payment, tx: [...payment.tx, 0] }))],
    ['a double spend', 400, 'ERR_PAYMENT_REJECTED', async () => {
      const funds = chain.mint(payerKey, 10_000)
      expect((await send((await pay(chain, payerKey, good(), { funds })).payment)).status).toBe(200)
      return (await pay(chain, payerKey, good(), { funds })).payment
    }]
  ]

  test('a message that is paid for arrives with its payment, and what it rests on is broadcast', async () => {
    const { payment, transaction } = await pay(chain, payerKey, [toServer(), toRecipient()])
    const answer = await send(payment, 'paid')
    expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ status: 'success' })])
    const [message] = (await listed()).filter(({ messageId }) => messageId === 'paid')
    expect(JSON.parse(message!.body)).toEqual({ message: 'paid for', payment: { ...payment, outputs: [payment.outputs[1]] } })
    expect(chain.broadcast).toContain(transaction.id('hex'))
  })

  test.each(FRAUDS)('%s is refused, and nothing is stored', async (_name, status, code, makePayment) => {
    const payment = await makePayment()
    const before = (await listed()).length
    expectFraud(await send(payment), status, code)
    expect((await listed()).length).toBe(before)
  })

  test.each(FRAUDS)('%s is refused live', async (_name, _status, code, makePayment) => {
    const socket = await lightSocket(server.origin, { key: Buffer.from(payerKey.toHex().padStart(64, '0'), 'hex') }).authenticate()
    const payment = await makePayment()
    const before = (await listed()).length
    const roomId = `${recipient.identityKey}-posted`
    socket.emit('sendMessage', { roomId, message: { ...messageOf(randomUUID()) }, payment })
    expect(await socket.next(`sendMessageAck-${roomId}`)).toMatchObject({ status: 'error', code })
    expect((await listed()).length).toBe(before)
  })

  describe('one payment', () => {
    test('pays for one message: the same again is a success, another is refused', async () => {
      const { payment } = await pay(chain, payerKey, [toServer(), toRecipient()])
      expect((await send(payment, 'once')).status).toBe(200)
      expect((await send(payment, 'once')).status).toBe(200)
      expectRefusal(await send(payment, 'twice'), 409, 'ERR_PAYMENT_REPLAYED')
      expect((await listed()).filter(({ messageId }) => /once|twice/.test(messageId)).length).toBe(1)
    })

    test('pays for one of 20 messages at once', async () => {
      const { payment } = await pay(chain, payerKey, [toServer(), toRecipient()])
      const answers = await Promise.all(Array.from({ length: 20 }, async (_, i) => await send(payment, `race-${i}`)))
      expect(answers.filter(({ status }) => status === 200).length).toBe(1)
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]))
      expect((await listed()).filter(({ messageId }) => messageId.startsWith('race-')).length).toBe(1)
    })
  })

  describe.each([['the broadcaster', 'arcAway'], ['the service of headers', 'headersAway']] as const)('while %s is away', (_name, away) => {
    test('nothing is delivered, and the payment can be used afterwards', async () => {
      const { payment } = await pay(chain, payerKey, [toServer(), toRecipient()])
      chain[away] = true
      expectRefusal(await send(payment, `during-${away}`), 503, 'ERR_PAYMENTS_UNAVAILABLE')
      chain[away] = false
      expect((await send(payment, `after-${away}`)).status).toBe(200)
      expect((await listed()).map(({ messageId }) => messageId)).not.toContain(`during-${away}`)
    })
  })

  test('anyone\'s key is the generator', () => {
    expect(new PrivateKey(1).toPublicKey().toString()).toBe(ANYONE)
  })
})
