/**
 * Group commit: sends that are in flight together share a transaction, so that a busy server pays for one sync
 * to disk where an idle one pays for each message. While a commit is under way, whatever arrives waits for the
 * next; every send still gets an answer of its own, and a bad one fails alone.
 */
import type { Knex } from 'knex'
import { ApiError } from '../errors'
import { isDataError, isDeadlock, isDuplicateKey } from './faults'
import { findByIds, insertInPieces, insertMessages, type StoredMessage } from './messages'

/** What became of one message: when it was stored, now or, for a duplicate, then. */
export interface Stored {
  createdAt: number
  duplicate: boolean
}

interface Send {
  messages: StoredMessage[]
  bytes: number
  /** When it arrived, in milliseconds since 1970. */
  since: number
  /** It was in a batch that failed for one row's sake: it is tried again by itself. */
  alone?: true
  resolve: (stored: Stored[]) => void
  reject: (error: unknown) => void
}

/** Bounds of one transaction, but for a single send that is larger by itself. */
const MAX_ROWS = 500
const MAX_BYTES = 2 * 1024 * 1024
/** Of one send, over all its recipients. */
const MAX_SEND_BYTES = 64 * 1024 * 1024
/** Of all sends that wait; beyond it, more are refused rather than kept in memory. */
const MAX_WAITING_BYTES = 256 * 1024 * 1024
/** What a row weighs beside its body, in bytes, about. */
const ROW_OVERHEAD = 512
/** A commit is given up, its outcome unknown, after this many milliseconds and the time for its bytes. */
const COMMIT_TIMEOUT = 5000
const BYTES_PER_MILLISECOND = 10_000
/** A send that has waited longer, in milliseconds, is not tried after a commit that the database did not answer. */
const PATIENCE = 1000
/** How often a batch is tried again when other nodes keep taking its ids, or locks, from under it. */
const ATTEMPTS = 5

export class GroupCommit {
  readonly #small: Lane
  /** Sends that fill a transaction by themselves: apart, so that nobody waits behind megabytes of another. */
  readonly #large: Lane
  #waitingBytes = 0

  constructor (knex: Knex) {
    this.#small = new Lane(knex)
    this.#large = new Lane(knex)
  }

  /**
   * Stores the messages of one send, all or none; durable when it resolves.
   * @throws ApiError ERR_DUPLICATE_MESSAGE where an id stands for another message; else the database's error
   */
  async insert (messages: StoredMessage[]): Promise<Stored[]> {
    const bytes = sizeOf(messages)
    if (bytes > MAX_SEND_BYTES) throw new ApiError('ERR_BODY_TOO_LARGE', `A message for ${messages.length} recipients may have up to ${MAX_SEND_BYTES} bytes in all.`, { limit: MAX_SEND_BYTES })
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) throw new ApiError('ERR_SERVER_BUSY')
    this.#waitingBytes += bytes
    try {
      return await this.#lane(bytes).insert(messages, bytes)
    } finally {
      this.#waitingBytes -= bytes
    }
  }

  #lane (bytes: number): Lane {
    return bytes > MAX_BYTES ? this.#large : this.#small
  }
}

/** One commit at a time, in the order of arrival. */
class Lane {
  #waiting: Send[] = []
  #running = false

  constructor (private readonly knex: Knex) {}

  async insert (messages: StoredMessage[], bytes: number): Promise<Stored[]> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ messages, bytes, since: Date.now(), resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  async #run (): Promise<void> {
    this.#running = true
    // One turn of the event loop lets the requests that arrived together in.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) await this.#commitTogether(this.#takeBatch())
    this.#running = false
  }

  /** As many waiting sends as fit, in their order; two that name the same id never share a batch. */
  #takeBatch (): Send[] {
    const batch: Send[] = []
    const ids = new Set<string>()
    let rows = 0
    let bytes = 0
    for (const send of this.#waiting) {
      rows += send.messages.length
      bytes += send.bytes
      const keys = send.messages.map(idKey)
      const alone = batch[0]?.alone ?? send.alone
      if (batch.length > 0 && (alone || rows > MAX_ROWS || bytes > MAX_BYTES || keys.some(key => ids.has(key)))) break
      keys.forEach(key => ids.add(key))
      batch.push(send)
    }
    this.#waiting = this.#waiting.slice(batch.length)
    return batch
  }

  async #commitTogether (batch: Send[]): Promise<void> {
    try {
      const answers = await withDeadline(this.#store(batch), batch.reduce((sum, send) => sum + send.bytes, 0))
      batch.forEach((send, index) => {
        const answer = answers[index]!
        if (answer instanceof ApiError) send.reject(answer)
        else send.resolve(answer)
      })
    } catch (error) {
      if (batch.length > 1 && isDataError(error)) {
        this.#waiting.unshift(...batch.map(send => ({ ...send, alone: true as const })))
      } else {
        for (const send of batch) send.reject(error)
        if (!isDataError(error)) this.#giveUp(error)
      }
    }
  }

  /** Nobody waits for one lost commit after another: whoever has waited through this one is told now. */
  #giveUp (error: unknown): void {
    const waiting = this.#waiting
    const oldest = Date.now() - PATIENCE
    this.#waiting = waiting.filter(({ since }) => since >= oldest)
    for (const { since, reject } of waiting) if (since < oldest) reject(error)
  }

  /** Inserts everything at first, since ids are hardly ever taken; looks closer only when one is. */
  async #store (batch: Send[]): Promise<Array<Stored[] | ApiError>> {
    const now = Date.now()
    let answers: Array<Stored[] | ApiError> = batch.map(send => send.messages.map(() => ({ createdAt: now, duplicate: false })))
    let rows = batch.flatMap(send => send.messages)
    for (let attempt = 1; ; attempt++) {
      try {
        await insertAll(this.knex, rows, now)
        return answers
      } catch (error) {
        if (attempt === ATTEMPTS || !(isDuplicateKey(error) || isDeadlock(error))) throw error
        const settled = await this.#settle(batch, now)
        answers = settled.answers
        rows = settled.rows
      }
    }
  }

  /** Which sends repeat a message that is stored, which clash with one, and which rows are left to insert. */
  async #settle (batch: Send[], now: number): Promise<{ answers: Array<Stored[] | ApiError>, rows: StoredMessage[] }> {
    const found = await findByIds(this.knex, batch.flatMap(send => send.messages))
    const taken = new Map(found.map(row => [idKey(row), row]))
    const rows: StoredMessage[] = []
    const answers = batch.map(({ messages }) => {
      const clash = messages.find(message => {
        const row = taken.get(idKey(message))
        return row !== undefined && (row.sender !== message.sender || row.messageBox !== message.messageBox)
      })
      if (clash !== undefined) return new ApiError('ERR_DUPLICATE_MESSAGE')
      rows.push(...messages.filter(message => !taken.has(idKey(message))))
      return messages.map(message => {
        const row = taken.get(idKey(message))
        return { createdAt: row?.createdAt ?? now, duplicate: row !== undefined }
      })
    })
    return { answers, rows }
  }
}

/** One statement is a transaction by itself; what does not fit one is made of several in a transaction. */
async function insertAll (knex: Knex, rows: StoredMessage[], now: number): Promise<void> {
  if (rows.length === 0) return
  if (rows.length <= MAX_ROWS && sizeOf(rows) <= MAX_BYTES) {
    await insertMessages(knex, rows, now)
    return
  }
  await knex.transaction(async trx => {
    for (const row of rows) {
      await insertInPieces(trx, row, now)
      // SQLite works within this process: between megabytes, whatever needs no database gets a turn.
      await new Promise(setImmediate)
    }
  })
}

function idKey ({ recipient, messageId }: { recipient: string, messageId: string }): string {
  return `${recipient} ${messageId}`
}

function sizeOf (messages: StoredMessage[]): number {
  return messages.reduce((sum, message) => sum + message.body.length + ROW_OVERHEAD, 0)
}

async function withDeadline<T> (work: Promise<T>, bytes: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(Object.assign(new Error('the commit took too long'), { code: 'COMMIT_TIMEOUT' })) }, COMMIT_TIMEOUT + bytes / BYTES_PER_MILLISECOND)
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}
