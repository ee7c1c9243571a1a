/** Stores messages by group commit: sends that are in flight together share a transaction. */
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import { QUERY_TIMEOUT } from '../engine/dialect'
import { isConflict, isDuplicateKey } from '../engine/faults'
import { Insertion, type Conclude, type Send, type Stored } from './sendBatch'
import { BatchQueue, MAX_ROWS, type Committed, type OnCommit } from '../engine/batchQueue'
import { listedBytes, MAX_LISTED_BYTES, mostListedBytes } from './listed'
import { idKey, insertInPieces, insertMessages, type StoredMessage } from './sql'
import { readStatementLimits, USUAL_LIMITS, type StatementLimits } from '../engine/packet'
import type { Ledger } from '../quotas'
import { Retries } from '../engine/retries'
import { transact } from '../engine/transaction'
import { FairQueue } from '../../lib/fairQueue'
import { ByteBudget } from '../../limits/budget'

/** Of one send, over all its recipients. */
const MAX_SEND_BYTES = 64 * 1024 * 1024
/** The memory of sends that wait, in all and of one address or sender. Small ones have room of their own. */
const SMALL_BYTES = { total: 64 * 1024 * 1024, share: 16 * 1024 * 1024 }
const LARGE_BYTES = { total: 192 * 1024 * 1024, share: 48 * 1024 * 1024 }
/** How many large sends of one address may wait for their turn, with the one that has it. */
const MAX_LARGE_WAITING = 4
/** What a row weighs beside its body, in bytes, about. */
const ROW_OVERHEAD = 512
/** After how many bytes of a large send others get a turn: each turn is time in which the only connection to SQLite is held. */
const TURN_BYTES = 8 * 1024 * 1024

export interface InsertOptions {
  /** The address that the send comes from: addresses take turns with large sends. */
  address?: string
  /** What else the transaction has to do, unless all of the messages were stored before. */
  conclude?: Conclude
}

export class GroupCommit {
  readonly #small: BatchQueue<Send, Stored[]>
  /** Sends that fill a transaction by themselves: apart, so that others do not wait behind their megabytes. */
  readonly #large: BatchQueue<Send, Stored[]>
  /** Sends whose transaction has something to conclude: each has one of its own. */
  readonly #concluding: BatchQueue<Send, Stored[]>
  readonly #turns = new FairQueue()
  readonly #waitingSmall = new ByteBudget(SMALL_BYTES)
  readonly #waitingLarge = new ByteBudget(LARGE_BYTES)
  /** The ids of messages that take their time, and how many sends name each: whatever touches one waits for its transaction. */
  readonly #slow = new Map<string, number>()
  #limits = USUAL_LIMITS
  #reading: Promise<StatementLimits> | undefined

  constructor(
    private readonly knex: Knex,
    private readonly ledger: Ledger,
    onCommit: OnCommit = () => {},
  ) {
    const store = async (sends: Send[]): Promise<Committed<Stored[]>> => await this.#store(sends)
    const newQueue = (): BatchQueue<Send, Stored[]> =>
      new BatchQueue(store, onCommit, () => this.#limits.batch)
    this.#small = newQueue()
    this.#large = newQueue()
    this.#concluding = newQueue()
  }

  /**
   * Stores the messages of one send, all or none; durable when it resolves.
   * @throws ApiError ERR_DUPLICATE_MESSAGE if an id stands for another message, ERR_…_QUOTA_EXCEEDED, ERR_BODY_TOO_LARGE,
   *   ERR_SERVER_BUSY; else the database's error
   */
  async insert(
    messages: StoredMessage[],
    { address = '', conclude }: InsertOptions = {},
  ): Promise<Stored[]> {
    const bytes = checkSize(messages)
    const send: Send = {
      messages,
      rows: messages.length,
      bytes,
      keys: messages.map(idKey),
      ...(conclude !== undefined && { alone: true, conclude }),
    }
    const lane = conclude === undefined ? this.#small : this.#concluding
    this.#limits = await (this.#reading ??= this.#readLimits())
    if (bytes > this.#limits.batch)
      return await this.#insertLarge(
        send,
        address,
        conclude === undefined ? this.#large : this.#concluding,
      )
    const account = this.#waitingSmall.open(ownersOf(send, address))
    account.resize(bytes)
    try {
      // With one that would wait for a large one, all others in its transaction would.
      return this.isSlow(send.keys) && conclude === undefined
        ? await this.#runSlowly(send, this.#large)
        : await lane.run(send)
    } finally {
      account.close()
    }
  }

  /** They are asked for once; a question that failed is asked again. */
  async #readLimits(): Promise<StatementLimits> {
    try {
      return await readStatementLimits(this.knex)
    } catch (error) {
      this.#reading = undefined
      throw error
    }
  }

  /** Whether any of these messages is being stored by a transaction that takes its time. */
  isSlow(keys: string[]): boolean {
    return this.#slow.size > 0 && keys.some((key) => this.#slow.has(key))
  }

  /** Large sends of one address are stored one after another, and addresses take turns. */
  async #insertLarge(
    send: Send,
    address: string,
    lane: BatchQueue<Send, Stored[]>,
  ): Promise<Stored[]> {
    this.#checkTurns(address)
    const account = this.#waitingLarge.open(ownersOf(send, address))
    // The copies share one body.
    account.resize(
      Math.min(LARGE_BYTES.share, Math.max(...send.messages.map(({ body }) => body.length)) * 2),
    )
    try {
      const known = await this.#lookAhead(send)
      // Others of the address may have looked ahead at the same time.
      if (known === undefined) this.#checkTurns(address)
      return (
        known ?? (await this.#turns.run(address, async () => await this.#runSlowly(send, lane)))
      )
    } finally {
      account.close()
    }
  }

  /** @throws ApiError ERR_SERVER_BUSY */
  #checkTurns(address: string): void {
    if (this.#turns.sizeOf(address) >= MAX_LARGE_WAITING)
      throw new ApiError(
        'ERR_SERVER_BUSY',
        'Other large messages of yours are still being stored: try again in a few seconds.',
      )
  }

  /** Looks whether a send was stored before, or does not fit: megabytes are not written to find that out. */
  async #lookAhead(send: Send): Promise<Stored[] | undefined> {
    const { knex, ledger } = this
    const insertion = new Insertion([send], Date.now())
    await insertion.lookUp(knex)
    const rows = insertion.rows()
    if (ledger.counts && rows.length > 0) insertion.refuse(await ledger.room(knex, rows))
    const [answer] = insertion.answers()
    if (answer instanceof ApiError) throw answer
    return rows.length === 0 ? answer : undefined
  }

  async #runSlowly(send: Send, lane: BatchQueue<Send, Stored[]>): Promise<Stored[]> {
    for (const key of send.keys) this.#slow.set(key, (this.#slow.get(key) ?? 0) + 1)
    try {
      return await lane.run(send)
    } finally {
      for (const key of send.keys) {
        const left = this.#slow.get(key)! - 1
        if (left > 0) this.#slow.set(key, left)
        else this.#slow.delete(key)
      }
    }
  }

  /** Inserts everything at first, since ids are hardly ever taken and inboxes hardly ever full; looks closer where one is. */
  async #store(sends: Send[]): Promise<Committed<Stored[]>> {
    const { knex, ledger } = this
    const now = Date.now()
    const insertion = new Insertion(sends, now)
    const retries = new Retries()
    for (;;) {
      const rows = insertion.rows()
      try {
        await this.#insert(rows, now, sends[0]?.conclude)
        return { answers: insertion.answers(), rows: rows.length }
      } catch (error) {
        // Each time something is refused there is less to do: that is no attempt in vain.
        if (ledger.isExceeded(error) && insertion.refuse(await ledger.room(knex, rows))) continue
        if (
          !(ledger.isExceeded(error) || isDuplicateKey(error) || isConflict(error)) ||
          !(await retries.next())
        )
          throw error
        await insertion.lookUp(knex)
      }
    }
  }

  async #insert(rows: StoredMessage[], now: number, conclude?: Conclude): Promise<void> {
    if (rows.length === 0) return
    const { knex, ledger } = this
    const large = rows.length > MAX_ROWS || sizeOf(rows) > this.#limits.batch
    if (large || conclude !== undefined) {
      await knex.transaction(async (trx) => {
        if (large) await insertInTurns(trx, rows, now, this.#limits)
        else await insertMessages(trx, rows, now).timeout(QUERY_TIMEOUT)
        for (const { sql, bindings } of ledger.add(trx, rows))
          await trx.raw(sql, bindings).timeout(QUERY_TIMEOUT)
        await conclude?.(trx)
      })
    } else if (ledger.counts) {
      await transact(knex, async ({ commit }) => {
        await commit([
          insertMessages(knex, rows, now).toSQL().toNative(),
          ...ledger.add(knex, rows),
        ])
      })
    } else {
      // One statement is a transaction by itself.
      await insertMessages(knex, rows, now).timeout(QUERY_TIMEOUT)
    }
  }
}

/** SQLite works within this process: now and then, what needs no database gets a turn. */
async function insertInTurns(
  trx: Knex,
  rows: StoredMessage[],
  now: number,
  { batch: most, piece }: StatementLimits,
): Promise<void> {
  let written = 0
  for (const batch of batchesOf(rows, most)) {
    if (batch.length === 1) await insertInPieces(trx, batch[0]!, now, piece)
    else await insertMessages(trx, batch, now).timeout(QUERY_TIMEOUT)
    written += sizeOf(batch)
    if (written < TURN_BYTES) continue
    written = 0
    await new Promise(setImmediate)
  }
}

/** Rows in their order, as many together as fit into one statement. */
function batchesOf(rows: StoredMessage[], most: number): StoredMessage[][] {
  const batches: StoredMessage[][] = []
  let bytes = Infinity
  for (const row of rows) {
    const more = sizeOf([row])
    if (bytes + more > most || batches.at(-1)!.length >= MAX_ROWS) {
      batches.push([])
      bytes = 0
    }
    batches.at(-1)!.push(row)
    bytes += more
  }
  return batches
}

/**
 * About how many bytes a send has, over all its recipients.
 * @throws ApiError ERR_BODY_TOO_LARGE
 */
export function checkSize(messages: StoredMessage[]): number {
  const bytes = sizeOf(messages)
  if (bytes > MAX_SEND_BYTES)
    throw new ApiError(
      'ERR_BODY_TOO_LARGE',
      `A message for ${messages.length} recipients may have up to ${MAX_SEND_BYTES} bytes in all.`,
      { limit: MAX_SEND_BYTES },
    )
  // The copies share a body, and to measure a large one takes tens of milliseconds.
  const bodies = [...new Set(messages.map(({ body }) => body))]
  if (
    bodies.some(
      (body) =>
        mostListedBytes('', body) > MAX_LISTED_BYTES && listedBytes(body) > MAX_LISTED_BYTES,
    )
  ) {
    throw new ApiError(
      'ERR_BODY_TOO_LARGE',
      `A message may have up to ${MAX_LISTED_BYTES} bytes as lists write it, with quotes and control characters escaped.`,
      { limit: MAX_LISTED_BYTES },
    )
  }
  return bytes
}

function ownersOf({ messages }: Send, address: string): string[] {
  return [address, messages[0]?.sender ?? '']
}

function sizeOf(messages: StoredMessage[]): number {
  return messages.reduce((sum, message) => sum + message.body.length + ROW_OVERHEAD, 0)
}
