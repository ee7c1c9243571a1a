/**
 * The states of payments: an output pays for one message only. A row is `claimed` before its
 * message is stored, `stored` together with it, and `settled` when the server's wallet has its
 * output.
 */
import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import { CLAIM_LOST, isDuplicateKey } from '../engine/faults'
import { query } from '../engine/query'
import {
  findByOutpoints,
  findDue,
  findUnsettled,
  freeOutpoints,
  insertPayment,
  markSettled,
  markStored,
  outpointsOf,
  postpone,
  releaseClaims,
  takeOver,
  type Claim,
  type DuePayment,
  type NewPayment,
  type UnsettledPayment,
} from './sql'

export type {
  Claim,
  DuePayment,
  NewPayment,
  PaymentState,
  ServerOutput,
  UnsettledPayment,
} from './sql'

/** How long a claim holds: longer than checking, broadcasting and storing may take. */
const CLAIM_MS = 30_000
/** How often to try if other requests claim and release the same outputs. */
const MAX_CLAIM_TRIES = 5
/** How many expired claims one transaction releases. */
const MAX_RELEASED = 100

/** A claim, or when (in milliseconds since 1970) this payment has paid for the same message. */
export type Claimed = { claim: Claim } | { paidAt: number }

/**
 * Errors are from the catalogue unless a method says otherwise. Times are milliseconds since 1970.
 */
export interface PaymentStore {
  /**
   * Claims a payment's outputs for its message.
   * @throws ApiError ERR_PAYMENT_REPLAYED if they pay for another message
   */
  claim: (payment: NewPayment) => Promise<Claimed>
  /**
   * Ends a claim in the transaction that stores its message.
   * @throws ClaimLost if another request holds the claim by now
   */
  conclude: (trx: Knex, claim: Claim, hasServerOutput: boolean) => Promise<void>
  /** Releases the claim of a message that is not stored. */
  release: (claim: Claim) => Promise<void>
  /** Releases some outputs of a payment because they have paid for nothing. */
  free: (claim: Claim, outpoints: string[]) => Promise<void>
  /** Releases expired claims: the processes that held them have ended. */
  releaseAbandoned: () => Promise<number>
  /** The stored payments to take into the server's wallet now, those due first first. */
  due: (limit: number) => Promise<DuePayment[]>
  /**
   * Notes that the server's wallet has a payment's output. The wallet now keeps the transaction.
   */
  settle: (id: string) => Promise<void>
  /** Notes why a payment could not be taken in, and when to try again. */
  postpone: (id: string, dueAt: number, fault: string) => Promise<void>
  /** For the command line: not settled payments, the oldest first. Throws the database's error. */
  unsettled: (limit: number) => Promise<UnsettledPayment[]>
}

/** Another attempt at the same message has taken over the claim. */
export class ClaimLost extends Error {
  readonly code = CLAIM_LOST
}

export function createPaymentStore(knex: Knex): PaymentStore {
  return {
    claim: async (payment) =>
      await query('claim payment', async () => {
        for (let tries = 1; ; tries++) {
          const claimed = await tryToClaim(knex, payment)
          if (claimed !== undefined) return claimed
          if (tries === MAX_CLAIM_TRIES) throw new ApiError('ERR_SERVER_BUSY')
        }
      }),

    async conclude(trx, claim, hasServerOutput) {
      if (!(await markStored(trx, claim, hasServerOutput ? 'stored' : 'settled', Date.now())))
        throw new ClaimLost('another request holds the claim')
    },

    release: async (claim) => {
      await query('release payment', async () => await releaseClaims(knex, claim, 1))
    },

    free: async ({ id }, outpoints) => {
      await query('free outputs', async () => {
        await freeOutpoints(knex, id, outpoints)
      })
    },

    releaseAbandoned: async () =>
      await query(
        'release payments',
        async () => await releaseClaims(knex, { dueBefore: Date.now() }, MAX_RELEASED),
      ),

    due: async (limit) =>
      await query('find payments', async () => await findDue(knex, Date.now(), limit)),

    settle: async (id) => {
      await query('settle payment', async () => {
        await markSettled(knex, id, Date.now())
      })
    },

    postpone: async (id, dueAt, fault) => {
      await query('postpone payment', async () => {
        await postpone(knex, id, dueAt, fault, Date.now())
      })
    },

    unsettled: async (limit) => await findUnsettled(knex, limit),
  }
}

/** Undefined if the caller has to try again: the claim in the way is gone by now. */
async function tryToClaim(knex: Knex, payment: NewPayment): Promise<Claimed | undefined> {
  const now = Date.now()
  const claim = { id: randomBytes(16).toString('hex'), token: randomBytes(16).toString('hex') }
  try {
    await insertPayment(knex, claim, payment, now + CLAIM_MS, now)
    return { claim }
  } catch (error) {
    if (!isDuplicateKey(error)) throw error
  }
  const [holder, ...others] = await findByOutpoints(knex, payment.outpoints)
  if (holder === undefined) return undefined
  if (others.length === 0 && holder.messageKey === payment.messageKey) {
    if (holder.state !== 'claimed') return { paidAt: holder.updatedAt }
    const held = await outpointsOf(knex, holder.id)
    // The claim must hold exactly the outputs that pay for the message that is stored.
    if (
      held.length === payment.outpoints.length &&
      held.every((outpoint) => payment.outpoints.includes(outpoint))
    ) {
      const taken = { ...claim, id: holder.id }
      return (await takeOver(knex, taken, now + CLAIM_MS, now)) ? { claim: taken } : undefined
    }
  }
  const abandoned = [holder, ...others].every(
    ({ state, dueAt }) => state === 'claimed' && dueAt < now,
  )
  if (!abandoned) throw new ApiError('ERR_PAYMENT_REPLAYED')
  await releaseClaims(knex, { dueBefore: now }, MAX_RELEASED)
  return undefined
}
