/** The SQL of advertisements: outputs of transactions, which stand until they are spent. */
import type { Knex } from 'knex'
import type { IdentityKey } from '../../contract/protocol'
import { bytes, isMysql, QUERY_TIMEOUT_MS, text } from '../engine/dialect'

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
  /** The transaction that spends it; null while it stands; its own where newer ones have taken its place. */
  spentBy: string | null
}

/** Whether it is unspent and does not stand: nothing is spent by its own transaction. */
export function isReplaced({ txid, spentBy }: KnownOutput): boolean {
  return spentBy === txid
}

/** Which advertisements somebody looks for: all where neither is named. */
export type AdvertisementQuery = Partial<Advertised>

/** An advertisement with its transaction and all that this rests on, in BEEF. */
export interface FoundAdvertisement extends Outpoint {
  beef: Buffer
}

/** How much is read at most of what stands of an identity; far more than is let stand. */
const [MOST_HOSTS, MOST_OF_HOST] = [1000, 1000]

export async function findOutputs(db: Knex, outpoints: Outpoint[]): Promise<KnownOutput[]> {
  return outpoints.length === 0 ? [] : (await selectOutputs(db, outpoints)).map(toKnown)
}

/** The same, and nobody else changes them until the transaction ends. */
export async function lockOutputs(trx: Knex, outpoints: Outpoint[]): Promise<KnownOutput[]> {
  if (outpoints.length === 0) return []
  const select = selectOutputs(trx, outpoints)
  return (await (isMysql(trx) ? select.forUpdate() : select)).map(toKnown)
}

function selectOutputs(db: Knex, outpoints: Outpoint[]): Knex.QueryBuilder<Row, Row[]> {
  return db<Row>('advertisements')
    .select('txid', 'output_index', 'identity_key', 'host', 'spent_by')
    .whereIn(['txid', 'output_index'], outpoints.map(toKey) as never)
    .limit(outpoints.length)
    .timeout(QUERY_TIMEOUT_MS) as never
}

/** Puts advertisements in; one that is there already stays as it is, but for one that was replaced: it stands again. */
export async function insertAdvertisements(
  db: Knex,
  advertisements: Advertisement[],
  beef: Buffer,
  now: number,
): Promise<void> {
  if (advertisements.length === 0) return
  await db('advertisements')
    .insert(
      advertisements.map(({ txid, outputIndex, identityKey, host }) => ({
        txid,
        output_index: outputIndex,
        identity_key: identityKey,
        host: bytes(db, host),
        beef,
        spent_by: null,
        created_at: now,
        updated_at: now,
      })),
    )
    .onConflict(['txid', 'output_index'])
    .ignore()
    .timeout(QUERY_TIMEOUT_MS)
  await db('advertisements')
    .whereIn(['txid', 'output_index'], advertisements.map(toKey) as never)
    .where({ spent_by: db.ref('txid') })
    .update({ spent_by: null, beef, updated_at: now })
    .timeout(QUERY_TIMEOUT_MS)
}

/**
 * Where more than `most` advertisements of one host of an identity stand, the newest and the very first are left: the
 * first is most likely the owner's, whose place others shall not take only to spend what they have put there.
 */
export async function replaceSurplus(
  db: Knex,
  advertised: Advertised[],
  most: number,
  now: number,
): Promise<void> {
  for (const { identityKey, host } of new Map(
    advertised.map((one) => [`${one.identityKey} ${one.host}`, one]),
  ).values()) {
    const rows = await db('advertisements')
      .select('id')
      .where({ identity_key: identityKey, host: bytes(db, host) })
      .whereNull('spent_by')
      .orderBy('id', 'asc')
      .limit(MOST_OF_HOST)
      .timeout(QUERY_TIMEOUT_MS)
    const surplus = rows.slice(1, Math.max(1, rows.length - most + 1)).map(({ id }) => id)
    if (surplus.length > 0)
      await db('advertisements')
        .whereIn('id', surplus)
        .update({ spent_by: db.ref('txid'), beef: null, updated_at: now })
        .timeout(QUERY_TIMEOUT_MS)
  }
}

/** Notes what a transaction spends; the first that does so stays, unless it is said to be in a block. */
export async function markSpent(
  db: Knex,
  outpoints: Outpoint[],
  spentBy: string,
  proven: boolean,
  now: number,
): Promise<void> {
  if (outpoints.length === 0) return
  await db('advertisements')
    .whereIn(['txid', 'output_index'], outpoints.map(toKey) as never)
    .where((row) => {
      void row.whereNull('spent_by').orWhere({ spent_by: db.ref('txid') })
      if (proven) void row.orWhereNot({ spent_by: spentBy })
    })
    .update({ spent_by: spentBy, beef: null, updated_at: now })
    .timeout(QUERY_TIMEOUT_MS)
}

/** Takes away what stands of transactions that another one has made impossible. */
export async function markImpossible(
  db: Knex,
  txids: string[],
  by: string,
  now: number,
): Promise<void> {
  if (txids.length === 0) return
  await db('advertisements')
    .whereIn('txid', txids)
    .whereNull('spent_by')
    .update({ spent_by: by, beef: null, updated_at: now })
    .timeout(QUERY_TIMEOUT_MS)
}

/** At which hosts an identity is advertised. */
export async function findHosts(db: Knex, identityKey: IdentityKey): Promise<string[]> {
  const rows = await db('advertisements')
    .distinct('host')
    .where({ identity_key: identityKey })
    .whereNull('spent_by')
    .limit(MOST_HOSTS)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map(({ host }) => text(host as string | Buffer))
}

/** Forgets which outputs of an identity were spent, but for the newest. */
export async function forgetSpent(
  db: Knex,
  identityKey: IdentityKey,
  kept: number,
  limit: number,
): Promise<void> {
  const rows = await db('advertisements')
    .select('id')
    .where({ identity_key: identityKey })
    .whereNotNull('spent_by')
    .orderBy('id', 'desc')
    .offset(kept)
    .limit(limit)
    .timeout(QUERY_TIMEOUT_MS)
  if (rows.length > 0)
    await db('advertisements')
      .whereIn(
        'id',
        rows.map(({ id }) => id),
      )
      .delete()
      .timeout(QUERY_TIMEOUT_MS)
}

/**
 * The advertisements that stand, the newest first.
 * @param mostBytes of BEEF in all; one is found however large it is
 */
export async function findStanding(
  db: Knex,
  { identityKey, host }: AdvertisementQuery,
  limit: number,
  mostBytes: number,
): Promise<FoundAdvertisement[]> {
  const wanted = {
    ...(identityKey !== undefined && { identity_key: identityKey }),
    ...(host !== undefined && { host: bytes(db, host) }),
  }
  const rows = await db('advertisements')
    .select('id', db.raw('length(beef) as size'))
    .where(wanted)
    .whereNull('spent_by')
    .orderBy('id', 'desc')
    .limit(limit)
    .timeout(QUERY_TIMEOUT_MS)
  let size = 0
  const ids = rows
    .filter((row, place) => (size += Number(row.size)) <= mostBytes || place === 0)
    .map(({ id }) => id)
  if (ids.length === 0) return []
  // It may have been spent meanwhile.
  const found = await db('advertisements')
    .select('txid', 'output_index', 'beef')
    .whereIn('id', ids)
    .whereNotNull('beef')
    .orderBy('id', 'desc')
    .limit(ids.length)
    .timeout(QUERY_TIMEOUT_MS)
  return found.map((row) => ({
    txid: row.txid,
    outputIndex: Number(row.output_index),
    beef: row.beef,
  }))
}

function toKey({ txid, outputIndex }: Outpoint): [string, number] {
  return [txid, outputIndex]
}

type Row = Record<string, unknown>

function toKnown(row: Row): KnownOutput {
  return {
    txid: String(row.txid),
    outputIndex: Number(row.output_index),
    identityKey: String(row.identity_key),
    host: text(row.host as string | Buffer),
    spentBy: row.spent_by as string | null,
  }
}
