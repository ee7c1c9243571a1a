/** Stores messages by group commit: sends that are in flight together share a transaction. */
import type { Knex } from 'knex'
import { ApiError } from '../errors'
import { QUERY_TIMEOUT } from './engine'
import { isDeadlock, isDuplicateKey } from './faults'
import { Insertion, type Conclude, type Send, type Stored } from './insertion'
import { Lane, MAX_BYTES, MAX_ROWS, type Committed, type OnCommit } from './lane'
import { idKey, insertInPieces, insertMessages, type StoredMessage } from './messages'
import type { Ledger } from './quotas'
import { transact } from './transaction'

/** Of one send, over all its recipients. */
const MAX_SEND_BYTES = 64 * 1024 * 1024
/** Of all sends that wait; beyond it, more are refused rather than kept in memory. */
const MAX_WAITING_BYTES = 256 * 1024 * 1024
/** What a row weighs beside its body, in bytes, about. */
const ROW_OVERHEAD = 512
/** How often a batch is tried again when other nodes keep taking its ids, or locks, from under it. */
const ATTEMPTS = 5

export class GroupCommit {
  readonly #small: Lane<Send, Stored[]>
  /** Sends that fill a transaction by themselves: apart, so that nobody waits behind megabytes of another. */
  readonly #large: Lane<Send, Stored[]>
  /** Sends whose transaction has something to conclude: each has one of its own. */
  readonly #concluding: Lane<Send, Stored[]>
  /** The ids of messages that take their time, and how many sends name each: whoever touches one waits for its transaction. */
  readonly #slow = new Map<string, number>()
  #waitingBytes = 0

  constructor (private readonly knex: Knex, private readonly ledger: Ledger, onCommit: OnCommit = () => {}) {
    const store = async (sends: Send[]): Promise<Committed<Stored[]>> => await this.#store(sends)
    this.#small = new Lane(store, onCommit)
    this.#large = new Lane(store, onCommit)
    this.#concluding = new Lane(store, onCommit)
  }

  /**
   * Stores the messages of one send, all or none; durable when it resolves.
   * @param conclude what else the transaction has to do, unless all of the messages were stored before
   * @throws ApiError ERR_DUPLICATE_MESSAGE where an id stands for another message, ERR_…_QUOTA_EXCEEDED; else the
   *   database's error
   */
  async insert (messages: StoredMessage[], conclude?: Conclude): Promise<Stored[]> {
    const bytes = checkSize(messages)
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) throw new ApiError('ERR_SERVER_BUSY')
    this.#waitingBytes += bytes
    try {
      const send = { messages, rows: messages.length, bytes, keys: messages.map(idKey) }
      if (conclude !== undefined) return await this.#concluding.run({ ...send, alone: true, conclude })
      // With one that would wait for a large one, everybody in its transaction would.
      return bytes > MAX_BYTES || this.isSlow(send.keys) ? await this.#runSlowly(send) : await this.#small.run(send)
    } finally {
      this.#waitingBytes -= bytes
    }
  }

  /** Whether any of these messages is being stored by a transaction that takes its time. */
  isSlow (keys: string[]): boolean {
    return this.#slow.size > 0 && keys.some(key => this.#slow.has(key))
  }

  async #runSlowly (send: Send): Promise<Stored[]> {
    for (const key of send.keys) this.#slow.set(key, (this.#slow.get(key) ?? 0) + 1)
    try {
      return await this.#large.run(send)
    } finally {
      for (const key of send.keys) {
        const left = this.#slow.get(key)! - 1
        if (left > 0) this.#slow.set(key, left)
        else this.#slow.delete(key)
      }
    }
  }

  /** Inserts everything at first, since ids are hardly ever taken and inboxes hardly ever full; looks closer where one is. */
  async #store (sends: Send[]): Promise<Committed<Stored[]>> {
    const { knex, ledger } = this
    const now = Date.now()
    const insertion = new Insertion(sends, now)
    for (let attempt = 1; ; attempt++) {
      const rows = insertion.rows()
      try {
        await this.#insert(rows, now, sends[0]?.conclude)
        return { answers: insertion.answers(), rows: rows.length }
      } catch (error) {
        // Each time something is refused there is less to do: that is no attempt in vain.
        if (ledger.isExceeded(error) && insertion.refuse(await ledger.room(knex, rows))) attempt--
        else if (attempt >= ATTEMPTS || !(ledger.isExceeded(error) || isDuplicateKey(error) || isDeadlock(error))) throw error
        else await insertion.lookUp(knex)
      }
    }
  }

  async #insert (rows: StoredMessage[], now: number, conclude?: Conclude): Promise<void> {
    if (rows.length === 0) return
    const { knex, ledger } = this
    const large = rows.length > MAX_ROWS || sizeOf(rows) > MAX_BYTES
    if (large || conclude !== undefined) {
      await knex.transaction(async trx => {
        if (large) await insertOneByOne(trx, rows, now)
        else await insertMessages(trx, rows, now).timeout(QUERY_TIMEOUT)
        for (const { sql, bindings } of ledger.add(trx, rows)) await trx.raw(sql, bindings).timeout(QUERY_TIMEOUT)
        await conclude?.(trx)
      })
    } else if (ledger.counts) {
      await transact(knex, async ({ commit }) => { await commit([insertMessages(knex, rows, now).toSQL().toNative(), ...ledger.add(knex, rows)]) })
    } else {
      // One statement is a transaction by itself.
      await insertMessages(knex, rows, now).timeout(QUERY_TIMEOUT)
    }
  }
}

async function insertOneByOne (trx: Knex, rows: StoredMessage[], now: number): Promise<void> {
  for (const row of rows) {
    await insertInPieces(trx, row, now)
    // SQLite works within this process: between megabytes, whatever needs no database gets a turn.
    await new Promise(setImmediate)
  }
}

/**
 * About how many bytes a send has, over all its recipients.
 * @throws ApiError ERR_BODY_TOO_LARGE
 */
export function checkSize (messages: StoredMessage[]): number {
  const bytes = sizeOf(messages)
  if (bytes > MAX_SEND_BYTES) throw new ApiError('ERR_BODY_TOO_LARGE', `A message for ${messages.length} recipients may have up to ${MAX_SEND_BYTES} bytes in all.`, { limit: MAX_SEND_BYTES })
  return bytes
}

function sizeOf (messages: StoredMessage[]): number {
  return messages.reduce((sum, message) => sum + message.body.length + ROW_OVERHEAD, 0)
}
