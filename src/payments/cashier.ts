/**
 * Delivers messages that have a price. The server checks that the payment is valid, pays the right
 * payees, and is not used for another message. It broadcasts the payment. Then it stores the
 * message and ends the claim in one transaction. After a crash, the states in the database tell the
 * next step.
 */
import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import {
  ClaimLost,
  type Claim,
  type Claimed,
  type NewPayment,
  type PaymentStore,
  type ServerOutput,
} from '../db/payments'
import { checkSize, type MessageStore, type Stored, type StoredMessage } from '../db/messages'
import { ApiError } from '../contract/errors'
import { toListedBody, wrapperOf } from '../contract/listedBody'
import type { PriceOf } from '../permissions'
import type { Price } from '../permissions/rules'
import type { Caller, IdentityKey, OutgoingMessage } from '../contract/protocol'
import type { VerifiedPayment } from '../spv/verify'
import type { Locks } from './lockingScripts'
import type { ArcBroadcaster } from './arc'
import { checkDues, checkOutputs, type Paid } from './outputs'
import { assignOutputs, parsePayment, type Payment } from './payment'
import type { VerifyPayment } from './verifier'

export interface CashierParts {
  store: MessageStore
  payments: PaymentStore
  locks: Locks
  verify: VerifyPayment
  network: ArcBroadcaster
  priceOf: PriceOf
  /** Called after each stored payment that has an output for the server. */
  onStored: () => void
  logger: Logger
}

/** How many claims to make if another request for the same message takes the claim over. */
const MAX_CLAIMS = 3

/**
 * Delivers a message that its sender has to pay for.
 * @param price at the time the message arrived
 */
export type DeliverPaid = (
  caller: Caller,
  message: OutgoingMessage,
  price: Price,
) => Promise<Stored[]>

/** If the server cannot check payments, it delivers free messages only. */
export const noCashier: DeliverPaid = async () => {
  throw new ApiError(
    'ERR_PAYMENTS_UNAVAILABLE',
    'This server cannot check payments: it delivers free messages only.',
  )
}

export function createCashier(parts: CashierParts): DeliverPaid {
  const { store, payments, locks, verify, network, priceOf, onStored, logger } = parts

  return async (caller, message, price) => {
    const { recipients } = message
    const { identityKey: sender } = caller
    const names = namesOf(sender, message)
    // A repeat of a stored message succeeds: it is paid for.
    const times = await store.findAll(names)
    if (times !== undefined) return times.map((createdAt) => ({ createdAt, duplicate: true }))

    const payment = parsePayment(message.payment)
    const assigned = assignOutputs(payment, price, recipients)
    const verified = await verify(caller, payment.tx)
    const paid = await checkOutputs(locks, sender, recipients, verified, assigned)
    checkDues(paid, recipients, price)
    const rows = toRows(names, message, payment, paid)
    checkSize(rows)

    const claimable = toClaim(sender, message, payment, verified, paid)
    for (let attempt = 1; ; attempt++) {
      const claimed: Claimed = await payments.claim(claimable)
      if ('paidAt' in claimed)
        return names.map(() => ({ createdAt: claimed.paidAt, duplicate: true }))
      try {
        // A recipient may have set a rule meanwhile. Until the broadcast, a rejection costs the
        // payer nothing.
        checkDues(paid, recipients, await priceOf(sender, message))
        if (verified.extended !== undefined)
          await network.broadcast(verified.txid, verified.extended)
        const stored = await deliver(caller.address, claimed.claim, claimable, rows, paid)
        if (claimable.serverOutputs.length > 0) onStored()
        return stored
      } catch (error) {
        if (error instanceof ClaimLost && attempt < MAX_CLAIMS) continue
        // After a failure, the payer can use the payment again.
        await payments.release(claimed.claim).catch((err: unknown) => {
          logger.warn(
            { err, txid: verified.txid },
            'the server could not release a payment: its claim will expire',
          )
        })
        throw error instanceof ClaimLost ? new ApiError('ERR_SERVER_BUSY') : error
      }
    }
  }

  async function deliver(
    address: string,
    claim: Claim,
    { txid, serverOutputs }: NewPayment,
    rows: StoredMessage[],
    paid: Paid[],
  ): Promise<Stored[]> {
    const stored = await store.insert(rows, {
      address,
      conclude: async (trx) => {
        await payments.conclude(trx, claim, serverOutputs.length > 0)
      },
    })
    const idle = paid.filter(({ payee }) => payee !== 'server' && stored[payee]!.duplicate)
    // Another payment delivered the message to some or all recipients in the meantime.
    if (stored.every(({ duplicate }) => duplicate)) await payments.release(claim)
    else if (idle.length > 0)
      await payments.free(
        claim,
        idle.map((output) => outpointOf(txid, output)),
      )
    return stored
  }
}

function toClaim(
  sender: IdentityKey,
  { recipients, messageIds, messageBox }: OutgoingMessage,
  { tx }: Payment,
  { txid }: VerifiedPayment,
  paid: Paid[],
): NewPayment {
  const serverOutputs: ServerOutput[] = paid
    .filter(({ payee }) => payee === 'server')
    .map(({ outputIndex, derivationPrefix, derivationSuffix, senderIdentityKey }) => ({
      outputIndex,
      derivationPrefix,
      derivationSuffix,
      senderIdentityKey,
    }))
  const names = recipients.map((recipient, index) => [recipient, messageIds[index]!]).sort()
  return {
    txid,
    sender,
    messageKey: createHash('sha256')
      .update(JSON.stringify([sender, messageBox, names]))
      .digest('hex'),
    messageIds,
    outpoints: paid.map((output) => outpointOf(txid, output)),
    beef: serverOutputs.length > 0 ? tx : null,
    serverOutputs,
  }
}

function outpointOf(txid: string, { outputIndex }: Paid): string {
  return `${txid}.${outputIndex}`
}

type BodilessMessage = Omit<StoredMessage, 'body'>

/** The messages as they are stored. Long parts are encoded once for all recipients. */
function toRows(
  names: BodilessMessage[],
  message: OutgoingMessage,
  { tx, description, labels }: Payment,
  paid: Paid[],
): StoredMessage[] {
  const wrap = wrapperOf(message)
  const unpaid = toListedBody(message)
  const transaction = `[${tx.join(',')}]`
  const rest = Object.entries({ description, labels })
    .map(([key, value]) => (value === undefined ? '' : `,"${key}":${JSON.stringify(value)}`))
    .join('')
  return names.map((name, index) => {
    const outputs = paid.filter(({ payee }) => payee === index).map(toInternalizeOutput)
    const body =
      outputs.length === 0
        ? unpaid
        : wrap(`{"tx":${transaction},"outputs":${JSON.stringify(outputs)}${rest}}`)
    return { ...name, body }
  })
}

/** An output for the payee's wallet (BRC-100): only the fields that were checked. */
function toInternalizeOutput({
  outputIndex,
  derivationPrefix,
  derivationSuffix,
  senderIdentityKey,
}: Paid): object {
  return {
    outputIndex,
    protocol: 'wallet payment',
    paymentRemittance: { derivationPrefix, derivationSuffix, senderIdentityKey },
  }
}

function namesOf(
  sender: IdentityKey,
  { recipients, messageIds, messageBox }: OutgoingMessage,
): BodilessMessage[] {
  return recipients.map((recipient, index) => ({
    recipient,
    messageBox,
    messageId: messageIds[index]!,
    sender,
  }))
}
