/**
 * The table of advertisements. One database transaction applies all effects of a valid submission.
 */
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import { FairQueue } from '../../lib/fairQueue'
import { MAX_HOSTS, MAX_OF_HOST, type IdentityKey } from '../../contract/protocol'
import {
  findHosts,
  findOutputs,
  findStanding,
  forgetSpent,
  insertAdvertisements,
  isReplaced,
  lockOutputs,
  markImpossible,
  markSpent,
  replaceSurplus,
  type Advertisement,
  type AdvertisementQuery,
  type FoundAdvertisement,
  type KnownOutput,
  type Outpoint,
} from './sql'
import { query } from '../engine/query'

export type { Advertised, AdvertisementQuery, FoundAdvertisement } from './sql'

/** How many spent advertisements of an identity are kept, and how many are deleted at once. */
const MAX_SPENT = 100_000
const MAX_FORGOTTEN = 1000
/** The limits of one answer: advertisements, and bytes of their transactions. */
export const MAX_FOUND = 20
export const MAX_FOUND_BYTES = 256 * 1024
/** How many submissions may wait. */
const MAX_WAITING = 200

interface SpentOutput extends Outpoint {
  spentBy: string
}

/** A valid transaction. */
export interface Submission {
  txid: string
  beef: Buffer
  /** Whether it is in a block. */
  proven: boolean
  /** Its own outputs that are advertisements. */
  advertisements: Advertisement[]
  /**
   * The outputs that it spends, in the order of its inputs; then those that its ancestors spend.
   */
  spends: SpentOutput[]
}

type Admission =
  /**
   * Its outputs that are unspent, spent before, or replaced by newer ones; and the advertisements
   * that it spends.
   */
  | { admitted: number[]; spent: number[]; replaced: number[]; removed: Outpoint[] }
  /** Another transaction has spent the same output. Nothing was changed. */
  | { conflict: KnownOutput }
  /** This identity has too many hosts. The outputs that the transaction spends were removed. */
  | { full: IdentityKey }

/** All errors are from the catalogue. */
export interface AdvertisementStore {
  /** Removes the outputs that a transaction spends and adds its advertisements. Idempotent. */
  admit: (submission: Submission) => Promise<Admission>
  /** The unspent advertisements, the newest first, up to the limits of an answer. */
  find: (wanted: AdvertisementQuery) => Promise<FoundAdvertisement[]>
}

export function createAdvertisementStore(knex: Knex): AdvertisementStore {
  const queue = new FairQueue()
  return {
    async admit(submission) {
      // One at a time, so that the limits hold. With many nodes, each may exceed them by one.
      if (queue.size >= MAX_WAITING) throw new ApiError('ERR_SERVER_BUSY')
      return await queue.run(
        '',
        async () =>
          await query(
            'admit advertisement',
            async () =>
              await knex.transaction(async (trx) => await admit(trx, submission, Date.now())),
          ),
      )
    },
    find: async (wanted) =>
      await query(
        'find advertisements',
        async () => await findStanding(knex, wanted, MAX_FOUND, MAX_FOUND_BYTES),
      ),
  }
}

async function admit(
  trx: Knex,
  { txid, beef, proven, advertisements, spends }: Submission,
  now: number,
): Promise<Admission> {
  const known = await lockOutputs(trx, spends)
  const conflicts = known.filter(
    (output) =>
      output.spentBy !== null &&
      !isReplaced(output) &&
      output.spentBy !== spenderOf(output, spends),
  )
  if (conflicts.length > 0 && !proven) return { conflict: conflicts[0]! }
  await markImpossible(
    trx,
    conflicts.map(({ spentBy }) => spentBy!),
    txid,
    now,
  )
  await noteSpends(trx, known, spends, proven, now)
  const full = await findFull(trx, advertisements)
  if (full !== undefined) return { full }
  await insertAdvertisements(trx, advertisements, beef, now)
  await replaceSurplus(trx, advertisements, MAX_OF_HOST, now)

  const own = await findOutputs(trx, advertisements)
  const indexes = (wanted: (output: KnownOutput) => boolean): number[] =>
    own
      .filter(wanted)
      .map(({ outputIndex }) => outputIndex)
      .sort((a, b) => a - b)
  return {
    admitted: indexes(({ spentBy }) => spentBy === null),
    spent: indexes((output) => output.spentBy !== null && !isReplaced(output)),
    replaced: indexes(isReplaced),
    removed: (await findOutputs(trx, known)).filter(({ spentBy }) => spentBy === txid),
  }
}

/** Only for outputs in the table: else an attacker could fill an identity's history with others. */
async function noteSpends(
  trx: Knex,
  known: KnownOutput[],
  spends: SpentOutput[],
  proven: boolean,
  now: number,
): Promise<void> {
  for (const spentBy of new Set(spends.map((spend) => spend.spentBy))) {
    await markSpent(
      trx,
      known.filter((output) => spenderOf(output, spends) === spentBy),
      spentBy,
      proven,
      now,
    )
  }
  for (const identityKey of new Set(known.map((output) => output.identityKey)))
    await forgetSpent(trx, identityKey, MAX_SPENT, MAX_FORGOTTEN)
}

/** @returns the first identity that would be advertised at too many hosts */
async function findFull(
  trx: Knex,
  advertisements: Advertisement[],
): Promise<IdentityKey | undefined> {
  for (const identityKey of new Set(
    advertisements.map((advertisement) => advertisement.identityKey),
  )) {
    const more = advertisements
      .filter((advertisement) => advertisement.identityKey === identityKey)
      .map(({ host }) => host)
    const standing = await findHosts(trx, identityKey)
    if (
      more.some((host) => !standing.includes(host)) &&
      new Set([...standing, ...more]).size > MAX_HOSTS
    )
      return identityKey
  }
  return undefined
}

function spenderOf({ txid, outputIndex }: Outpoint, spends: SpentOutput[]): string | undefined {
  return spends.find((spend) => spend.txid === txid && spend.outputIndex === outputIndex)?.spentBy
}
