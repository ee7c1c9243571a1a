/** Claims on payments over Knex, with the database's errors turned into the catalogue's. */
import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import { CLAIM_LOST, isDuplicateKey } from '../engine/faults'
import {
  findByOutpoints,
  freeOutpoints,
  insertPayment,
  markStored,
  outpointsOf,
  releaseClaims,
  takeOver,
  type Claim,
  type NewPayment,
} from './sql'
import { query } from '../engine/query'

/** For how long a claim is held while its message is on the way, in milliseconds: longer than anything on it may take. */
const CLAIM_TIME = 30_000
/** How often to try where others claim and release the same outputs. */
const ATTEMPTS = 5
/** How many abandoned claims one step gives up. */
const STEP = 100

/** What a claim came to: it is held, or the payment has paid for this very message before, at that time. */
export type Claimed = { claim: Claim } | { paidAt: number }

export interface PaymentStore {
  /**
   * Claims a payment's outputs for its message.
   * @throws ApiError ERR_PAYMENT_REPLAYED where they pay for another message
   */
  claim: (payment: NewPayment) => Promise<Claimed>
  /**
   * To be called in the transaction that stores the message: with it the claim has come to its end.
   * @throws ClaimLost where somebody else holds the claim by now
   */
  conclude: (trx: Knex, claim: Claim, hasServerOutput: boolean) => Promise<void>
  /** Gives a claim up whose message is not stored. */
  release: (claim: Claim) => Promise<void>
  /** Lets outputs go that have paid for nothing, though others of the payment have. */
  free: (claim: Claim, outpoints: string[]) => Promise<void>
  /** Gives claims up that nobody holds any more: their processes are gone. */
  releaseAbandoned: () => Promise<number>
}

/** Another attempt at the same message has taken the claim over. */
export class ClaimLost extends Error {
  readonly code = CLAIM_LOST
}

export function createPaymentStore(knex: Knex): PaymentStore {
  return {
    claim: async (payment) =>
      await query('claim payment', async () => {
        for (let attempt = 1; ; attempt++) {
          const claimed = await tryToClaim(knex, payment)
          if (claimed !== undefined) return claimed
          if (attempt === ATTEMPTS) throw new ApiError('ERR_SERVER_BUSY')
        }
      }),

    async conclude(trx, claim, hasServerOutput) {
      if (!(await markStored(trx, claim, hasServerOutput ? 'stored' : 'settled', Date.now())))
        throw new ClaimLost('the claim is held by somebody else')
    },

    release: async (claim) => {
      await query('release payment', async () => {
        await releaseClaims(knex, claim, 1)
      })
    },

    free: async ({ id }, outpoints) => {
      await query('free outputs', async () => {
        await freeOutpoints(knex, id, outpoints)
      })
    },

    releaseAbandoned: async () =>
      await query(
        'release payments',
        async () => await releaseClaims(knex, { dueBefore: Date.now() }, STEP),
      ),
  }
}

/** Undefined where it has to be tried again: what stood in the way has gone meanwhile. */
async function tryToClaim(knex: Knex, payment: NewPayment): Promise<Claimed | undefined> {
  const now = Date.now()
  const claim = { id: randomBytes(16).toString('hex'), token: randomBytes(16).toString('hex') }
  try {
    await insertPayment(knex, claim, payment, now + CLAIM_TIME, now)
    return { claim }
  } catch (error) {
    if (!isDuplicateKey(error)) throw error
  }
  const [holder, ...others] = await findByOutpoints(knex, payment.outpoints)
  if (holder === undefined) return undefined
  if (others.length === 0 && holder.messageKey === payment.messageKey) {
    if (holder.state !== 'claimed') return { paidAt: holder.updatedAt }
    const held = await outpointsOf(knex, holder.id)
    // What is stored in the end has to be paid for with just what is claimed.
    if (
      held.length === payment.outpoints.length &&
      held.every((outpoint) => payment.outpoints.includes(outpoint))
    ) {
      const taken = { ...claim, id: holder.id }
      return (await takeOver(knex, taken, now + CLAIM_TIME, now)) ? { claim: taken } : undefined
    }
  }
  const abandoned = [holder, ...others].every(
    ({ state, dueAt }) => state === 'claimed' && dueAt < now,
  )
  if (!abandoned) throw new ApiError('ERR_PAYMENT_REPLAYED')
  await releaseClaims(knex, { dueBefore: now }, STEP)
  return undefined
}
