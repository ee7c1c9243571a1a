/**
 * Delivers messages that cost something. A payment counts only if it is there, holds, pays whom it has to, is not used
 * for another message, and is accepted by the network; then the message is stored with what is its recipient's, in one
 * transaction with the end of the claim. Wherever this is cut off, the states in the database tell how to go on.
 */
import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Stored } from '../db/insertion'
import type { Claim, NewPayment, ServerOutput } from '../db/payments'
import { ClaimLost, type Claimed, type PaymentStore } from '../db/paymentStore'
import type { MessageStore } from '../db/store'
import { ApiError } from '../errors'
import { toListedBody } from '../listedBody'
import type { Terms } from '../policy'
import type { IdentityKey, OutgoingMessage } from '../protocol'
import type { VerifiedTransaction } from '../spv/verify'
import type { Fields } from '../values'
import type { Locks } from './locks'
import type { Network } from './network'
import { assignOutputs, parseOutput, parsePayment, type PaidOutput, type Payee, type Payment } from './payment'
import type { VerifyPayment } from './verifier'

/** The points at which a payment may be cut off, for whoever wants to watch it there. */
export type Milestone = 'verified' | 'claimed' | 'accepted' | 'stored' | 'internalized' | 'settled'

export interface CashierParts {
  store: MessageStore
  payments: PaymentStore
  locks: Locks
  verify: VerifyPayment
  network: Network
  /** Told that a payment is stored of which an output is the server's. */
  onStored: () => void
  logger: Logger
  reached: (milestone: Milestone) => Promise<void>
}

/** How often to begin again where another attempt at the same message takes the claim away. */
const ATTEMPTS = 3

/** Delivers a message for which its sender has to pay. */
export type DeliverPaid = (sender: IdentityKey, message: OutgoingMessage, terms: Terms) => Promise<Stored[]>

/** Where payments cannot be checked, nothing that costs anything is delivered. */
export const noCashier: DeliverPaid = async () => { throw new ApiError('ERR_PAYMENTS_UNAVAILABLE', 'This server cannot check payments: nothing that costs something is delivered.') }

/** An output that pays somebody, checked. */
interface Paid extends PaidOutput {
  payee: Payee
  output: Fields
}

export function createCashier (parts: CashierParts): DeliverPaid {
  const { store, payments, verify, network, onStored, logger, reached } = parts

  return async (sender, message, terms) => {
    const names = namesOf(sender, message)
    // The same message again is a success; what was paid for it before is enough.
    const times = await store.findAll(names)
    if (times !== undefined) return times.map(createdAt => ({ createdAt, duplicate: true }))

    const payment = parsePayment(message.payment?.fields)
    const assigned = assignOutputs(payment, terms, message.recipients)
    const verified = await verify(sender, payment.tx)
    const paid = await checkOutputs(parts, sender, message, terms, verified, assigned)
    await reached('verified')

    const claimable = toClaim(sender, message, payment, verified, paid)
    for (let attempt = 1; ; attempt++) {
      const claimed: Claimed = await payments.claim(claimable)
      if ('paidAt' in claimed) return names.map(() => ({ createdAt: claimed.paidAt, duplicate: true }))
      await reached('claimed')
      try {
        if (verified.extended !== undefined) await network.broadcast(verified.extended)
        await reached('accepted')
        const tx = `[${payment.tx.join(',')}]`
        const bodies = message.recipients.map((_recipient, index) => toListedBody(message, toRecipientPayment(payment, tx, paid, index)))
        const stored = await deliver(claimed.claim, claimable, names.map((name, index) => ({ ...name, body: bodies[index]! })))
        await reached('stored')
        if (claimable.serverOutputs.length > 0) onStored()
        return stored
      } catch (error) {
        if (error instanceof ClaimLost && attempt < ATTEMPTS) continue
        // Whatever stands in the way: the payer may use the money again.
        await payments.release(claimed.claim).catch((err: unknown) => { logger.warn({ err, txid: verified.txid }, 'a payment could not be released: its claim runs out by itself') })
        throw error instanceof ClaimLost ? new ApiError('ERR_SERVER_BUSY') : error
      }
    }
  }

  async function deliver (claim: Claim, { serverOutputs }: NewPayment, messages: Parameters<MessageStore['insert']>[0]): Promise<Stored[]> {
    const stored = await store.insert(messages, async trx => { await payments.conclude(trx, claim, serverOutputs.length > 0) })
    // Another payment has brought the very same message in meanwhile: this one pays for nothing.
    if (stored.every(({ duplicate }) => duplicate)) await payments.release(claim)
    return stored
  }
}

/**
 * Holds each output against whom it has to pay, and how much.
 * @throws ApiError ERR_PAYMENT_NOT_TO_PAYEE, ERR_INSUFFICIENT_PAYMENT
 */
async function checkOutputs ({ locks }: CashierParts, sender: IdentityKey, { recipients }: OutgoingMessage, { deliveryFee, recipientFees }: Terms, { outputs }: VerifiedTransaction, assigned: ReturnType<typeof assignOutputs>): Promise<Paid[]> {
  const paid: Paid[] = []
  const received = new Map<Payee, number>()
  for (const { payee, output } of assigned) {
    const named = parseOutput(output)
    const { satoshis, script } = outputs[named.outputIndex] ?? refuse(named, 'is not there')
    if (paid.some(({ outputIndex }) => outputIndex === named.outputIndex)) refuse(named, 'is named twice')
    const parties = payee === 'server' ? locks.toServer(sender) : locks.toRecipient(recipients[payee]!)
    await locks.check(named, Buffer.from(script), parties)
    received.set(payee, (received.get(payee) ?? 0) + satoshis)
    paid.push({ ...named, payee, output })
  }
  const due = new Map<Payee, number>([['server', deliveryFee], ...recipientFees.map((fee, index): [Payee, number] => [index, fee])])
  for (const [payee, fee] of due) {
    const satoshis = received.get(payee) ?? 0
    if (satoshis < fee) throw new ApiError('ERR_INSUFFICIENT_PAYMENT', `${payee === 'server' ? 'The server' : recipients[payee]!} is due ${fee} satoshis, and gets ${satoshis}.`, { due: fee, paid: satoshis })
  }
  return paid
}

function refuse ({ outputIndex }: PaidOutput, reason: string): never {
  throw new ApiError('ERR_PAYMENT_NOT_TO_PAYEE', `Output ${outputIndex} ${reason}.`)
}

function toClaim (sender: IdentityKey, { recipients, messageIds, messageBox }: OutgoingMessage, { tx }: Payment, { txid }: VerifiedTransaction, paid: Paid[]): NewPayment {
  const serverOutputs: ServerOutput[] = paid.filter(({ payee }) => payee === 'server')
    .map(({ outputIndex, derivationPrefix, derivationSuffix, senderIdentityKey }) => ({ outputIndex, derivationPrefix, derivationSuffix, senderIdentityKey }))
  const names = recipients.map((recipient, index) => [recipient, messageIds[index]!]).sort()
  return {
    txid,
    sender,
    messageKey: createHash('sha256').update(JSON.stringify([sender, messageBox, names])).digest('hex'),
    messageIds,
    outpoints: paid.map(({ outputIndex }) => `${txid}.${outputIndex}`),
    beef: serverOutputs.length > 0 ? tx : null,
    serverOutputs
  }
}

/** What one recipient is given of a payment: the transaction, which is JSON already, and its own outputs of it; undefined where it has none. */
function toRecipientPayment ({ description, labels }: Payment, tx: string, paid: Paid[], recipient: number): string | undefined {
  const outputs = paid.filter(({ payee }) => payee === recipient).map(({ output }) => output)
  if (outputs.length === 0) return undefined
  return `{"tx":${tx},"outputs":${JSON.stringify(outputs)}${description === undefined ? '' : `,"description":${JSON.stringify(description)}`}${labels === undefined ? '' : `,"labels":${JSON.stringify(labels)}`}}`
}

function namesOf (sender: IdentityKey, { recipients, messageIds, messageBox }: OutgoingMessage): Array<{ recipient: IdentityKey, messageBox: string, messageId: string, sender: IdentityKey }> {
  return recipients.map((recipient, index) => ({ recipient, messageBox, messageId: messageIds[index]!, sender }))
}
