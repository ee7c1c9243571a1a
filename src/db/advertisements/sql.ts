/** The SQL of the table `advertisements`: outputs of transactions, valid until they are spent. */
import type { Knex } from 'knex'
import type { IdentityKey } from '../../contract/protocol'
import { bytes, isMysql, QUERY_TIMEOUT_MS, text } from '../engine/dialect'

export interface Outpoint {
  txid: string
  outputIndex: number
}

export interface Advertised {
  identityKey: IdentityKey
  host: string
}

export interface Advertisement extends Outpoint, Advertised {}

export interface KnownOutput extends Advertisement {
  /** The spending transaction. Null if it is unspent; its own txid if newer ones replaced it. */
  spentBy: string | null
}

/** No transaction can spend its own output, so its own txid marks a replaced one. */
export function isReplaced({ txid, spentBy }: KnownOutput): boolean {
  return spentBy === txid
}

/** If a field is missing, it matches every advertisement. */
export type AdvertisementQuery = Partial<Advertised>

/** An advertisement with its transaction and its ancestors in BEEF. */
export interface FoundAdvertisement extends Outpoint {
  beef: Buffer
}

/** How many rows a query reads: far more than the limits allow. */
const MAX_ROWS = 1000

export async function findOutputs(db: Knex, outpoints: Outpoint[]): Promise<KnownOutput[]> {
  return outpoints.length === 0 ? [] : (await selectOutputs(db, outpoints)).map(toKnown)
}

/** Like findOutputs, but locks the rows until the transaction ends. */
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

/**
 * Inserts advertisements. An existing one does not change, unless it was replaced: it is valid
 * again.
 */
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
 * Limits the unspent advertisements of each host of an identity to `max`: keeps the first one and
 * the newest. The first is most likely the owner's: an attacker must not replace it with an output
 * of its own and then spend that.
 */
export async function replaceSurplus(
  db: Knex,
  advertised: Advertised[],
  max: number,
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
      .limit(MAX_ROWS)
      .timeout(QUERY_TIMEOUT_MS)
    const surplus = rows.slice(1, Math.max(1, rows.length - max + 1)).map(({ id }) => id)
    if (surplus.length > 0)
      await db('advertisements')
        .whereIn('id', surplus)
        .update({ spent_by: db.ref('txid'), beef: null, updated_at: now })
        .timeout(QUERY_TIMEOUT_MS)
  }
}

/** Marks outputs as spent. The first spending transaction stays, unless a proven one follows. */
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

/** Removes unspent outputs of transactions that a conflicting transaction has made invalid. */
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

export async function findHosts(db: Knex, identityKey: IdentityKey): Promise<string[]> {
  const rows = await db('advertisements')
    .distinct('host')
    .where({ identity_key: identityKey })
    .whereNull('spent_by')
    .limit(MAX_ROWS)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map(({ host }) => text(host as string | Buffer))
}

/** Deletes an identity's spent outputs, except for the newest. */
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
 * The unspent advertisements, the newest first.
 * @param maxBytes of BEEF in all. The first one is returned even if it is larger.
 */
export async function findStanding(
  db: Knex,
  { identityKey, host }: AdvertisementQuery,
  limit: number,
  maxBytes: number,
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
    .filter((row, place) => (size += Number(row.size)) <= maxBytes || place === 0)
    .map(({ id }) => id)
  if (ids.length === 0) return []
  // Some may have been spent meanwhile.
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
