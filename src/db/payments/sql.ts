/** The SQL of the tables `payments` and `payment_outpoints`. */
import type { Knex } from 'knex'
import type { IdentityKey } from '../../contract/protocol'
import { QUERY_TIMEOUT_MS } from '../engine/dialect'

/** An output that the server's wallet takes in, as BRC-100 names it. */
export interface ServerOutput {
  outputIndex: number
  derivationPrefix: string
  derivationSuffix: string
  senderIdentityKey: IdentityKey
}

export interface NewPayment {
  txid: string
  sender: IdentityKey
  /** A hash of the message's sender, box, recipients and ids. */
  messageKey: string
  messageIds: string[]
  outpoints: string[]
  /** The transaction in BEEF, if one of its outputs pays the server; else null. */
  beef: Buffer | null
  serverOutputs: ServerOutput[]
}

export type PaymentState = 'claimed' | 'stored' | 'settled'

interface KnownPayment {
  id: string
  messageKey: string
  state: PaymentState
  /**
   * When a claim expires, or when to try again to take a stored payment in. In milliseconds since
   * 1970.
   */
  dueAt: number
  updatedAt: number
}

/** A claim on a payment's outputs. Only the request that knows the current token holds it. */
export interface Claim {
  /** The payment's id. */
  id: string
  token: string
}

/**
 * Claims outputs for a message, all or none.
 * @param until when the claim expires, in milliseconds since 1970
 * @throws the database's error for a duplicate key if one of them is already claimed
 */
export async function insertPayment(
  knex: Knex,
  { id, token }: Claim,
  payment: NewPayment,
  until: number,
  now: number,
): Promise<void> {
  const { txid, sender, messageKey, messageIds, outpoints, beef, serverOutputs } = payment
  await knex.transaction(async (trx) => {
    await trx('payment_outpoints')
      .insert(outpoints.map((outpoint) => ({ outpoint, payment_id: id })))
      .timeout(QUERY_TIMEOUT_MS)
    await trx('payments')
      .insert({
        id,
        txid,
        sender,
        message_key: messageKey,
        message_ids: JSON.stringify(messageIds),
        state: 'claimed',
        token,
        beef,
        server_outputs: serverOutputs.length === 0 ? null : JSON.stringify(serverOutputs),
        attempts: 0,
        due_at: until,
        created_at: now,
        updated_at: now,
      })
      .timeout(QUERY_TIMEOUT_MS)
  })
}

/** The payments that hold any of these outputs. */
export async function findByOutpoints(db: Knex, outpoints: string[]): Promise<KnownPayment[]> {
  const rows = await db('payments')
    .distinct('payments.id', 'message_key', 'state', 'due_at', 'updated_at')
    .join('payment_outpoints', 'payment_outpoints.payment_id', 'payments.id')
    .whereIn('payment_outpoints.outpoint', outpoints)
    .limit(outpoints.length)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map((row) => ({
    id: row.id,
    messageKey: row.message_key,
    state: row.state,
    dueAt: Number(row.due_at),
    updatedAt: Number(row.updated_at),
  }))
}

export async function outpointsOf(db: Knex, id: string): Promise<string[]> {
  const rows = await db('payment_outpoints')
    .select('outpoint')
    .where({ payment_id: id })
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map(({ outpoint }) => outpoint as string)
}

export async function freeOutpoints(db: Knex, id: string, outpoints: string[]): Promise<void> {
  await db('payment_outpoints')
    .where({ payment_id: id })
    .whereIn('outpoint', outpoints)
    .delete()
    .timeout(QUERY_TIMEOUT_MS)
}

/**
 * Takes over a claim for the same message. False if it is gone, or its message is stored by now.
 */
export async function takeOver(
  db: Knex,
  { id, token }: Claim,
  until: number,
  now: number,
): Promise<boolean> {
  return (
    (await db('payments')
      .where({ id, state: 'claimed' })
      .update({ token, due_at: until, updated_at: now })
      .timeout(QUERY_TIMEOUT_MS)) === 1
  )
}

/** False if another request holds the claim by now. */
export async function markStored(
  trx: Knex,
  { id, token }: Claim,
  state: 'stored' | 'settled',
  now: number,
): Promise<boolean> {
  return (
    (await trx('payments')
      .where({ id, token, state: 'claimed' })
      .update({ state, due_at: now, updated_at: now })
      .timeout(QUERY_TIMEOUT_MS)) === 1
  )
}

/**
 * Deletes a claim, or all expired claims up to a limit. Their outputs can pay for other messages.
 */
export async function releaseClaims(
  knex: Knex,
  which: Claim | { dueBefore: number },
  limit: number,
): Promise<number> {
  return await knex.transaction(async (trx) => {
    const held = trx('payments').select('id').where({ state: 'claimed' }).limit(limit).forUpdate()
    const rows = await (
      'token' in which ? held.where(which) : held.where('due_at', '<', which.dueBefore)
    ).timeout(QUERY_TIMEOUT_MS)
    const ids = rows.map(({ id }) => id as string)
    if (ids.length === 0) return 0
    await trx('payment_outpoints').whereIn('payment_id', ids).delete().timeout(QUERY_TIMEOUT_MS)
    return await trx('payments').whereIn('id', ids).delete().timeout(QUERY_TIMEOUT_MS)
  })
}

/** A stored payment whose output the server's wallet does not have yet. */
export interface DuePayment {
  id: string
  txid: string
  beef: Buffer
  serverOutputs: ServerOutput[]
  attempts: number
}

export async function findDue(db: Knex, now: number, limit: number): Promise<DuePayment[]> {
  const rows = await db('payments')
    .select('id', 'txid', 'beef', 'server_outputs', 'attempts')
    .where({ state: 'stored' })
    .where('due_at', '<=', now)
    .orderBy('due_at')
    .limit(limit)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map((row) => ({
    id: row.id,
    txid: row.txid,
    beef: row.beef,
    serverOutputs: JSON.parse(row.server_outputs),
    attempts: row.attempts,
  }))
}

export async function markSettled(db: Knex, id: string, now: number): Promise<void> {
  await db('payments')
    .where({ id, state: 'stored' })
    .update({ state: 'settled', beef: null, last_fault: null, updated_at: now })
    .timeout(QUERY_TIMEOUT_MS)
}

export async function postpone(
  db: Knex,
  id: string,
  dueAt: number,
  fault: string,
  now: number,
): Promise<void> {
  await db('payments')
    .where({ id, state: 'stored' })
    .update({
      due_at: dueAt,
      last_fault: fault.slice(0, 1000),
      attempts: db.raw('attempts + 1'),
      updated_at: now,
    })
    .timeout(QUERY_TIMEOUT_MS)
}

/** A payment that the operator may have to look at. Times are milliseconds since 1970. */
export interface UnsettledPayment {
  txid: string
  sender: IdentityKey
  state: 'claimed' | 'stored'
  attempts: number
  fault: string | null
  createdAt: number
  dueAt: number
}

export async function findUnsettled(db: Knex, limit: number): Promise<UnsettledPayment[]> {
  const rows = await db('payments')
    .select('txid', 'sender', 'state', 'attempts', 'last_fault', 'created_at', 'due_at')
    .whereIn('state', ['claimed', 'stored'])
    .orderBy('created_at')
    .limit(limit)
    .timeout(QUERY_TIMEOUT_MS)
  return rows.map((row) => ({
    txid: row.txid,
    sender: row.sender,
    state: row.state,
    attempts: row.attempts,
    fault: row.last_fault,
    createdAt: Number(row.created_at),
    dueAt: Number(row.due_at),
  }))
}
