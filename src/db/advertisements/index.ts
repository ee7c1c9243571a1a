/** Advertisements over Knex: what a transaction that holds does to them, all of it in one transaction of the database. */
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import { FairQueue } from '../../lib/fairQueue'
import type { IdentityKey } from '../../contract/protocol'
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

/**
 * At how many hosts an identity may be advertised, and how many advertisements of one host may stand. Anybody can put an
 * identity's own words into a transaction again, but no host that it has not signed: so others do not use up its hosts.
 */
export const MAX_HOSTS = 20
export const MAX_OF_HOST = 5
/** How much is remembered of what an identity's advertisements were spent by, and how much is forgotten at once. */
const KEPT_SPENT = 100_000
const FORGOTTEN_SPENT = 1000
/** How many advertisements one answer holds, and how many bytes of their transactions. */
export const MAX_FOUND = 20
export const MAX_FOUND_BYTES = 256 * 1024
/** How many transactions may wait for their turn. */
const MAX_WAITING = 200

/** An output that is spent, and by which transaction. */
interface SpentOutput extends Outpoint {
  spentBy: string
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
type Admission =
  /**
   * Which of its outputs stand, which were spent before, which have given way to newer ones, and which of the outputs
   * that it spends were advertisements.
   */
  | { admitted: number[]; spent: number[]; replaced: number[]; removed: Outpoint[] }
  /** It spends what another transaction has spent; nothing was changed. */
  | { conflict: KnownOutput }
  /** This identity has too many hosts; what the transaction spends is removed all the same. */
  | { full: IdentityKey }

/** All errors are from the catalogue. */
export interface AdvertisementStore {
  /** Removes what a transaction spends and admits what it advertises; again and again, it changes nothing more. */
  admit: (submission: Submission) => Promise<Admission>
  /** What stands, the newest first, as much as one answer holds. */
  find: (wanted: AdvertisementQuery) => Promise<FoundAdvertisement[]>
}

export function createAdvertisementStore(knex: Knex): AdvertisementStore {
  const line = new FairQueue()
  return {
    async admit(submission) {
      // One at a time, so that nobody has more than may stand; many nodes at once might let one more in each.
      if (line.size >= MAX_WAITING) throw new ApiError('ERR_SERVER_BUSY')
      return await line.run(
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

/** Only of what was admitted here: else others could fill an identity's history with outputs that nobody has asked for. */
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
    await forgetSpent(trx, identityKey, KEPT_SPENT, FORGOTTEN_SPENT)
}

/** The first identity that would be advertised at too many hosts. */
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
