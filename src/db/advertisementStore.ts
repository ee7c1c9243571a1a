/** Advertisements over Knex: what a transaction that holds does to them, all of it in one transaction of the database. */
import type { Knex } from 'knex'
import { ApiError } from '../errors'
import { FairLine } from '../fairLine'
import type { IdentityKey } from '../protocol'
import {
  countStanding, findOutputs, findStanding, forgetSpent, insertAdvertisements, markImpossible, markSpent,
  type Advertised, type Advertisement, type AdvertisementQuery, type FoundAdvertisement, type KnownOutput, type Outpoint
} from './advertisements'
import { isDeadlock } from './faults'
import { query } from './query'

/** How many advertisements of one identity may stand. */
export const MAX_STANDING = 20
/** How much is remembered of what an identity's advertisements were spent by. */
const KEPT_SPENT = 1000
/** How many advertisements one answer holds, and how many bytes of their transactions. */
export const MAX_FOUND = 100
const MAX_FOUND_BYTES = 1024 * 1024
/** How often to try where others write the same rows. */
const ATTEMPTS = 5
/** How many transactions may wait for their turn. */
const MAX_WAITING = 200

/** An output that is spent: by which transaction, and what it advertised, where that is known. */
export interface SpentOutput extends Outpoint {
  spentBy: string
  advertised: Advertised | undefined
}

/** A transaction that holds, as far as advertisements are concerned. */
export interface Submission {
  txid: string
  beef: Buffer
  /** Whether it is in a block. */
  proven: boolean
  /** Its own outputs that are advertisements. */
  advertisements: Advertisement[]
  /** What it spends, in the order of its inputs, and then what its ancestors spend. */
  spends: SpentOutput[]
}

/** What became of it. */
export type Admission =
  /** Which of its outputs stand, which were spent before, and which of the outputs that it spends were advertisements. */
  | { admitted: number[], spent: number[], removed: Outpoint[] }
  /** It spends what another transaction has spent; nothing was changed. */
  | { conflict: KnownOutput }
  /** This identity has too many; what the transaction spends is removed all the same. */
  | { full: IdentityKey }

/** All errors are from the catalogue. */
export interface AdvertisementStore {
  /** Removes what a transaction spends and admits what it advertises; again and again, it changes nothing more. */
  admit: (submission: Submission) => Promise<Admission>
  /** What stands, the newest first, as much as one answer holds. */
  find: (wanted: AdvertisementQuery) => Promise<FoundAdvertisement[]>
}

export function createAdvertisementStore (knex: Knex): AdvertisementStore {
  const line = new FairLine()
  const attempt = async (submission: Submission): Promise<Admission> => {
    for (let attempts = 1; ; attempts++) {
      try {
        return await knex.transaction(async trx => await admit(trx, submission, Date.now()))
      } catch (error) {
        if (!isDeadlock(error) || attempts === ATTEMPTS) throw error
      }
    }
  }
  return {
    async admit (submission) {
      // One at a time, so that nobody has more than may stand; many nodes at once might let one more in each.
      if (line.size >= MAX_WAITING) throw new ApiError('ERR_SERVER_BUSY')
      return await line.run('', async () => await query('admit advertisement', async () => await attempt(submission)))
    },
    find: async wanted => await query('find advertisements', async () => await findStanding(knex, wanted, MAX_FOUND, MAX_FOUND_BYTES))
  }
}

async function admit (trx: Knex, { txid, beef, proven, advertisements, spends }: Submission, now: number): Promise<Admission> {
  const known = await findOutputs(trx, spends)
  const conflicts = known.filter(output => output.spentBy !== null && output.spentBy !== spenderOf(output, spends))
  if (conflicts.length > 0 && !proven) return { conflict: conflicts[0]! }
  await markImpossible(trx, conflicts.map(({ spentBy }) => spentBy!), txid, now)
  await noteSpends(trx, spends, proven, now)
  const full = await findFull(trx, advertisements, txid)
  if (full !== undefined) return { full }
  await insertAdvertisements(trx, advertisements, { beef }, now)

  const own = await findOutputs(trx, advertisements)
  const indexes = (standing: boolean): number[] => own.filter(({ spentBy }) => (spentBy === null) === standing).map(({ outputIndex }) => outputIndex).sort((a, b) => a - b)
  return { admitted: indexes(true), spent: indexes(false), removed: (await findOutputs(trx, spends)).filter(({ spentBy }) => spentBy === txid) }
}

/**
 * An advertisement that is spent before it was ever seen is put in as spent: whoever submits it later comes too late.
 */
async function noteSpends (trx: Knex, spends: SpentOutput[], proven: boolean, now: number): Promise<void> {
  const owners = new Set<IdentityKey>()
  for (const spentBy of new Set(spends.map(spend => spend.spentBy))) {
    const spent = spends.filter(spend => spend.spentBy === spentBy)
    const advertised = spent.flatMap(({ advertised, txid, outputIndex }) => advertised === undefined ? [] : [{ ...advertised, txid, outputIndex }])
    await insertAdvertisements(trx, advertised, { spentBy }, now)
    await markSpent(trx, spent, spentBy, proven, now)
    advertised.forEach(({ identityKey }) => owners.add(identityKey))
  }
  for (const identityKey of owners) await forgetSpent(trx, identityKey, KEPT_SPENT, KEPT_SPENT)
}

/** The first identity that would have too many. */
async function findFull (trx: Knex, advertisements: Advertisement[], txid: string): Promise<IdentityKey | undefined> {
  for (const identityKey of new Set(advertisements.map(advertisement => advertisement.identityKey))) {
    const more = advertisements.filter(advertisement => advertisement.identityKey === identityKey).length
    if (await countStanding(trx, identityKey, txid) + more > MAX_STANDING) return identityKey
  }
  return undefined
}

function spenderOf ({ txid, outputIndex }: Outpoint, spends: SpentOutput[]): string | undefined {
  return spends.find(spend => spend.txid === txid && spend.outputIndex === outputIndex)?.spentBy
}
