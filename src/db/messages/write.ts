/**
 * Stores messages by group commit: sends that are in flight together share a transaction.
 *
 *   insert ──┬─ fits into one statement ──────────────▶ small queue ───────┐
 *            ├─ larger ─▶ look up, wait for its turn ─▶ large queue ───────┤
 *            └─ with work to conclude ────────────────▶ concluding queue ──┤
 *                                                                          ▼
 *   answers ◀── commit ◀── conclude ◀── count in quota_usage ◀── insert a batch (SendBatch)
 *                 └─ failed: find taken ids or exceeded quotas, try again with the other sends
 */
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import { maxListedBytes } from '../../contract/jsonPage'
import { FairQueue } from '../../lib/fairQueue'
import { ByteBudget } from '../../limits/budget'
import { BatchQueue, MAX_ROWS, type Committed, type Job, type OnCommit } from '../engine/batchQueue'
import { QUERY_TIMEOUT_MS } from '../engine/dialect'
import { isConflict, isDuplicateKey } from '../engine/faults'
import { readStatementLimits, USUAL_LIMITS, type StatementLimits } from '../engine/packet'
import { Retries } from '../engine/query'
import { execute, transact, type Statement } from '../engine/transaction'
import type { Headroom, QuotaCounter } from '../quotas'
import { findByIds, idKey, insertInPieces, insertMessages, type StoredMessage } from './sql'

/** Of one send, over all its recipients. */
const MAX_SEND_BYTES = 64 * 1024 * 1024
/** The longest body, as JSON. Newer clients accept 16 MiB, and an answer has more than the body. */
const MAX_LISTED_BYTES = 16 * 1024 * 1024 - 8 * 1024
/** The memory of waiting sends: in total, and of one address or sender. */
const SMALL_BYTES = { total: 64 * 1024 * 1024, share: 16 * 1024 * 1024 }
const LARGE_BYTES = { total: 192 * 1024 * 1024, share: 48 * 1024 * 1024 }
/** How many large sends of one address may wait, including the one that is being stored. */
const MAX_LARGE_WAITING = 4
/** About how many bytes a row has beside its body. */
const ROW_OVERHEAD_BYTES = 512
/** SQLite works in this thread: after so many bytes of a large send, it does other work. */
const TURN_BYTES = 8 * 1024 * 1024

export interface InsertOptions {
  /** The client's address. Addresses take turns with large sends. */
  address?: string
  /** Further work of the transaction. It is skipped if all messages were stored before. */
  conclude?: Conclude
}

/** Work in the transaction that stores a send. If it throws, nothing is stored. */
type Conclude = (trx: Knex) => Promise<void>

/** When a message was stored: now or, if it is a duplicate, before. In milliseconds since 1970. */
export interface Stored {
  createdAt: number
  duplicate: boolean
}

interface Send extends Job {
  messages: StoredMessage[]
  conclude?: Conclude
}

export class GroupCommit {
  readonly #small: BatchQueue<Send, Stored[]>
  /** Each fills a transaction alone. Smaller sends do not wait for them. */
  readonly #large: BatchQueue<Send, Stored[]>
  /** Sends with work to conclude: each has a transaction of its own. */
  readonly #concluding: BatchQueue<Send, Stored[]>
  readonly #turns = new FairQueue()
  readonly #waitingSmall = new ByteBudget(SMALL_BYTES)
  readonly #waitingLarge = new ByteBudget(LARGE_BYTES)
  /**
   * The messages of long transactions, and how many sends name each. Others wait for their locks.
   */
  readonly #slow = new Map<string, number>()
  #limits = USUAL_LIMITS
  #reading: Promise<StatementLimits> | undefined

  constructor(
    private readonly knex: Knex,
    private readonly counter: QuotaCounter,
    onCommit: OnCommit = () => {},
  ) {
    const createQueue = (): BatchQueue<Send, Stored[]> =>
      new BatchQueue(
        async (sends) => await this.#store(sends),
        onCommit,
        () => this.#limits.batch,
      )
    this.#small = createQueue()
    this.#large = createQueue()
    this.#concluding = createQueue()
  }

  /**
   * Stores all messages of a send or none; they are durable when it resolves.
   * @throws ApiError ERR_DUPLICATE_MESSAGE if an id belongs to another message,
   *   ERR_INBOX_QUOTA_EXCEEDED, ERR_SENDER_QUOTA_EXCEEDED, ERR_BODY_TOO_LARGE, ERR_SERVER_BUSY; or
   *   the database's error
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
      if (conclude !== undefined) return await this.#concluding.run(send)
      // A send that waits for a long transaction would delay all others of its batch.
      return this.isSlow(send.keys)
        ? await this.#runSlowly(send, this.#large)
        : await this.#small.run(send)
    } finally {
      account.close()
    }
  }

  /** Reads the limits once; after a failure, again with the next send. */
  async #readLimits(): Promise<StatementLimits> {
    try {
      return await readStatementLimits(this.knex)
    } catch (error) {
      this.#reading = undefined
      throw error
    }
  }

  /** Whether a long transaction is storing any of these messages. */
  isSlow(keys: string[]): boolean {
    return this.#slow.size > 0 && keys.some((key) => this.#slow.has(key))
  }

  /** Stores the large sends of one address one after another; addresses take turns. */
  async #insertLarge(
    send: Send,
    address: string,
    queue: BatchQueue<Send, Stored[]>,
  ): Promise<Stored[]> {
    this.#checkTurns(address)
    const account = this.#waitingLarge.open(ownersOf(send, address))
    // All copies share one body, of two bytes a UTF-16 unit.
    account.resize(
      Math.min(LARGE_BYTES.share, Math.max(...send.messages.map(({ body }) => body.length)) * 2),
    )
    try {
      const known = await this.#lookAhead(send)
      if (known !== undefined) return known
      // Other sends of the address may have looked ahead at the same time.
      this.#checkTurns(address)
      return await this.#turns.run(address, async () => await this.#runSlowly(send, queue))
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

  /** Finds duplicates and exceeded quotas before megabytes are written in vain. */
  async #lookAhead(send: Send): Promise<Stored[] | undefined> {
    const { knex, counter } = this
    const batch = new SendBatch([send], Date.now())
    await batch.lookUp(knex)
    const rows = batch.rows()
    if (counter.counts && rows.length > 0) batch.reject(await counter.headroom(knex, rows))
    const [answer] = batch.answers()
    if (answer instanceof ApiError) throw answer
    return rows.length === 0 ? answer : undefined
  }

  async #runSlowly(send: Send, queue: BatchQueue<Send, Stored[]>): Promise<Stored[]> {
    for (const key of send.keys) this.#slow.set(key, (this.#slow.get(key) ?? 0) + 1)
    try {
      return await queue.run(send)
    } finally {
      for (const key of send.keys) {
        const left = this.#slow.get(key)! - 1
        if (left > 0) this.#slow.set(key, left)
        else this.#slow.delete(key)
      }
    }
  }

  /**
   * Inserts all rows first: taken ids and exceeded quotas are rare, so a check before costs more.
   */
  async #store(sends: Send[]): Promise<Committed<Stored[]>> {
    const { knex, counter } = this
    const now = Date.now()
    const batch = new SendBatch(sends, now)
    const retries = new Retries()
    for (;;) {
      const rows = batch.rows()
      try {
        await this.#insert(rows, now, sends[0]?.conclude)
        return { answers: batch.answers(), rows: rows.length }
      } catch (error) {
        const exceeded = counter.isExceeded(error)
        // With each rejected send there is less to store, so this ends without a time limit.
        if (exceeded && batch.reject(await counter.headroom(knex, rows))) continue
        const retryable = exceeded || isDuplicateKey(error) || isConflict(error)
        if (!retryable || !(await retries.next())) throw error
        await batch.lookUp(knex)
      }
    }
  }

  async #insert(rows: StoredMessage[], now: number, conclude?: Conclude): Promise<void> {
    if (rows.length === 0) return
    const { knex, counter } = this
    const large = rows.length > MAX_ROWS || sizeOf(rows) > this.#limits.batch
    if (large || conclude !== undefined) {
      await knex.transaction(async (trx) => {
        if (large) await insertInTurns(trx, rows, now, this.#limits)
        else await runWithin(trx, insertMessages(rows, now))
        for (const statement of counter.add(trx, rows)) await runWithin(trx, statement)
        await conclude?.(trx)
      })
    } else if (counter.counts) {
      await transact(knex, async ({ commit }) => {
        await commit([insertMessages(rows, now), ...counter.add(knex, rows)])
      })
    } else {
      // A single statement needs no explicit transaction.
      await execute(knex, insertMessages(rows, now))
    }
  }
}

type Taken = Awaited<ReturnType<typeof findByIds>>[number]

/** The sends of one transaction: which rows are left to insert, and the answer to each send. */
class SendBatch {
  readonly #rejected = new Map<Send, ApiError>()
  #taken = new Map<string, Taken>()

  /** @param now milliseconds since 1970 */
  constructor(
    private readonly sends: Send[],
    private readonly now: number,
  ) {}

  /** The rows to insert, as far as is known. */
  rows(): StoredMessage[] {
    return this.sends
      .filter((send) => !this.#rejected.has(send))
      .flatMap(({ messages }) => messages.filter((message) => !this.#taken.has(idKey(message))))
  }

  answers(): Array<Stored[] | ApiError> {
    return this.sends.map(
      (send) =>
        this.#rejected.get(send) ??
        send.messages.map((message) => {
          const row = this.#taken.get(idKey(message))
          return { createdAt: row?.createdAt ?? this.now, duplicate: row !== undefined }
        }),
    )
  }

  /** Finds the taken ids. Rejects the sends whose id belongs to another message. */
  async lookUp(knex: Knex): Promise<void> {
    const rows = await findByIds(
      knex,
      this.sends.flatMap(({ messages }) => messages),
    )
    this.#taken = new Map(rows.map((row) => [idKey(row), row]))
    for (const send of this.sends) {
      const clashes = send.messages.some((message) => {
        const row = this.#taken.get(idKey(message))
        return (
          row !== undefined &&
          (row.sender !== message.sender || row.messageBox !== message.messageBox)
        )
      })
      if (clashes && !this.#rejected.has(send))
        this.#rejected.set(send, new ApiError('ERR_DUPLICATE_MESSAGE'))
    }
  }

  /**
   * Rejects the sends that exceed a quota, in their order: the first ones are stored.
   * @returns whether there are any
   */
  reject(headroom: Headroom): boolean {
    const before = this.#rejected.size
    for (const send of this.sends) {
      if (this.#rejected.has(send)) continue
      const error = headroom.admit(
        send.messages.filter((message) => !this.#taken.has(idKey(message))),
      )
      if (error !== undefined) this.#rejected.set(send, error)
    }
    return this.#rejected.size > before
  }
}

async function runWithin(trx: Knex, { sql, bindings }: Statement): Promise<void> {
  await trx.raw(sql, bindings).timeout(QUERY_TIMEOUT_MS)
}

async function insertInTurns(
  trx: Knex,
  rows: StoredMessage[],
  now: number,
  limits: StatementLimits,
): Promise<void> {
  let written = 0
  for (const batch of batchesOf(rows, limits.batch)) {
    if (batch.length === 1) await insertInPieces(trx, batch[0]!, now, limits.piece)
    else await runWithin(trx, insertMessages(batch, now))
    written += sizeOf(batch)
    if (written < TURN_BYTES) continue
    written = 0
    await new Promise(setImmediate)
  }
}

/** Rows in their order, as many together as fit into one statement. */
function batchesOf(rows: StoredMessage[], maxBytes: number): StoredMessage[][] {
  const batches: StoredMessage[][] = []
  let bytes = Infinity
  for (const row of rows) {
    const more = sizeOf([row])
    if (bytes + more > maxBytes || batches.at(-1)!.length >= MAX_ROWS) {
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
  // The copies share a body, and measuring a large one takes tens of milliseconds.
  const bodies = [...new Set(messages.map(({ body }) => body))]
  if (bodies.some(isTooLongForLists)) {
    throw new ApiError(
      'ERR_BODY_TOO_LARGE',
      `A message may have up to ${MAX_LISTED_BYTES} bytes as JSON, ` +
        'with quotes and control characters escaped.',
      { limit: MAX_LISTED_BYTES },
    )
  }
  return bytes
}

function isTooLongForLists(body: string): boolean {
  return (
    maxListedBytes(body) > MAX_LISTED_BYTES &&
    Buffer.byteLength(JSON.stringify(body)) > MAX_LISTED_BYTES
  )
}

function ownersOf({ messages }: Send, address: string): string[] {
  return [address, messages[0]?.sender ?? '']
}

function sizeOf(messages: StoredMessage[]): number {
  return messages.reduce((sum, message) => sum + message.body.length + ROW_OVERHEAD_BYTES, 0)
}
