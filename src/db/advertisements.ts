/** The SQL of advertisements: outputs of transactions, which stand until they are spent. */
import type { Knex } from 'knex'
import type { IdentityKey } from '../protocol'
import { bytes, QUERY_TIMEOUT, text } from './engine'

export interface Outpoint {
  txid: string
  outputIndex: number
}

/** What an advertisement says. */
export interface Advertised {
  identityKey: IdentityKey
  host: string
}

export interface Advertisement extends Outpoint, Advertised {}

/** What is known of an output. */
export interface KnownOutput extends Advertisement {
  /** The transaction that spends it; null while it stands. */
  spentBy: string | null
}

/** Which advertisements somebody looks for: all where neither is named. */
export type AdvertisementQuery = Partial<Advertised>

/** An advertisement with its transaction and all that this rests on, in BEEF. */
export interface FoundAdvertisement extends Outpoint {
  beef: Buffer
}

export async function findOutputs (db: Knex, outpoints: Outpoint[]): Promise<KnownOutput[]> {
  if (outpoints.length === 0) return []
  return (await db('advertisements').select('txid', 'output_index', 'identity_key', 'host', 'spent_by')
    .whereIn(['txid', 'output_index'], outpoints.map(toKey) as never).limit(outpoints.length).timeout(QUERY_TIMEOUT)).map(toKnown)
}

/** Puts advertisements in; an outpoint that is there already stays as it is. */
export async function insertAdvertisements (db: Knex, advertisements: Advertisement[], { beef = null, spentBy = null }: { beef?: Buffer | null, spentBy?: string | null }, now: number): Promise<void> {
  if (advertisements.length === 0) return
  await db('advertisements').insert(advertisements.map(({ txid, outputIndex, identityKey, host }) => ({
    txid, output_index: outputIndex, identity_key: identityKey, host: bytes(db, host), beef, spent_by: spentBy, created_at: now, updated_at: now
  }))).onConflict(['txid', 'output_index']).ignore().timeout(QUERY_TIMEOUT)
}

/** Notes what a transaction spends; the first that does so stays, unless it is said to be in a block. */
export async function markSpent (db: Knex, outpoints: Outpoint[], spentBy: string, proven: boolean, now: number): Promise<void> {
  if (outpoints.length === 0) return
  await db('advertisements').whereIn(['txid', 'output_index'], outpoints.map(toKey) as never)
    .where(row => { void (proven ? row.whereNull('spent_by').orWhereNot({ spent_by: spentBy }) : row.whereNull('spent_by')) })
    .update({ spent_by: spentBy, beef: null, updated_at: now }).timeout(QUERY_TIMEOUT)
}

/** Takes away what stands of transactions that another one has made impossible. */
export async function markImpossible (db: Knex, txids: string[], by: string, now: number): Promise<void> {
  if (txids.length === 0) return
  await db('advertisements').whereIn('txid', txids).whereNull('spent_by').update({ spent_by: by, beef: null, updated_at: now }).timeout(QUERY_TIMEOUT)
}

/** How many advertisements of an identity stand, those of one transaction excepted. */
export async function countStanding (db: Knex, identityKey: IdentityKey, except: string): Promise<number> {
  const [counted] = await db('advertisements').where({ identity_key: identityKey }).whereNull('spent_by').whereNot({ txid: except }).count({ count: '*' }).timeout(QUERY_TIMEOUT)
  return Number(counted!.count)
}

/** Forgets which outputs of an identity were spent, but for the newest. */
export async function forgetSpent (db: Knex, identityKey: IdentityKey, kept: number, limit: number): Promise<void> {
  const rows = await db('advertisements').select('id').where({ identity_key: identityKey }).whereNotNull('spent_by')
    .orderBy('id', 'desc').offset(kept).limit(limit).timeout(QUERY_TIMEOUT)
  if (rows.length > 0) await db('advertisements').whereIn('id', rows.map(({ id }) => id)).delete().timeout(QUERY_TIMEOUT)
}

/**
 * The advertisements that stand, the newest first.
 * @param mostBytes of BEEF in all; one is found however large it is
 */
export async function findStanding (db: Knex, { identityKey, host }: AdvertisementQuery, limit: number, mostBytes: number): Promise<FoundAdvertisement[]> {
  const wanted = { ...(identityKey !== undefined && { identity_key: identityKey }), ...(host !== undefined && { host: bytes(db, host) }) }
  const rows = await db('advertisements').select('id', db.raw('length(beef) as size')).where(wanted).whereNull('spent_by')
    .orderBy('id', 'desc').limit(limit).timeout(QUERY_TIMEOUT)
  let size = 0
  const ids = rows.filter((row, place) => (size += Number(row.size)) <= mostBytes || place === 0).map(({ id }) => id)
  if (ids.length === 0) return []
  // It may have been spent meanwhile.
  const found = await db('advertisements').select('txid', 'output_index', 'beef').whereIn('id', ids).whereNotNull('beef')
    .orderBy('id', 'desc').limit(ids.length).timeout(QUERY_TIMEOUT)
  return found.map(row => ({ txid: row.txid, outputIndex: Number(row.output_index), beef: row.beef }))
}

function toKey ({ txid, outputIndex }: Outpoint): [string, number] {
  return [txid, outputIndex]
}

function toKnown (row: Record<string, unknown>): KnownOutput {
  return { txid: String(row.txid), outputIndex: Number(row.output_index), identityKey: String(row.identity_key), host: text(row.host as string | Buffer), spentBy: row.spent_by as string | null }
}
