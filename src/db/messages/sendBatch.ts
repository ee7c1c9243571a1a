/** What becomes of the sends of one transaction: which are stored, which repeat a message, which are refused and why. */
import type { Knex } from 'knex'
import { ApiError } from '../../contract/errors'
import type { Job } from '../engine/batchQueue'
import { findByIds, idKey, type StoredMessage } from './sql'
import type { Room } from '../quotas'

/** What became of one message: when it was stored, now or, for a duplicate, then. */
export interface Stored {
  createdAt: number
  duplicate: boolean
}

export interface Send extends Job {
  messages: StoredMessage[]
  /** What else its transaction has to do, where any of its messages is stored. */
  conclude?: Conclude
}

/** Work within the transaction that stores a send's messages; where it throws, nothing is stored. */
export type Conclude = (trx: Knex) => Promise<void>

type Taken = Awaited<ReturnType<typeof findByIds>>[number]

export class Insertion {
  readonly #refused = new Map<Send, ApiError>()
  #taken = new Map<string, Taken>()

  /** @param now milliseconds since 1970 */
  constructor(
    private readonly sends: Send[],
    private readonly now: number,
  ) {}

  /** The rows that are to be inserted, as far as is known. */
  rows(): StoredMessage[] {
    return this.sends
      .filter((send) => !this.#refused.has(send))
      .flatMap(({ messages }) => messages.filter((message) => !this.#taken.has(idKey(message))))
  }

  answers(): Array<Stored[] | ApiError> {
    return this.sends.map(
      (send) =>
        this.#refused.get(send) ??
        send.messages.map((message) => {
          const row = this.#taken.get(idKey(message))
          return { createdAt: row?.createdAt ?? this.now, duplicate: row !== undefined }
        }),
    )
  }

  /** Looks which ids are taken: by the same message, which is then stored, or by another one, which is a refusal. */
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
      if (clashes && !this.#refused.has(send))
        this.#refused.set(send, new ApiError('ERR_DUPLICATE_MESSAGE'))
    }
  }

  /**
   * Refuses the sends that do not fit, in their order: what came first is stored.
   * @returns whether there are any
   */
  refuse(room: Room): boolean {
    const before = this.#refused.size
    for (const send of this.sends) {
      if (this.#refused.has(send)) continue
      const refusal = room.admit(
        send.messages.filter((message) => !this.#taken.has(idKey(message))),
      )
      if (refusal !== undefined) this.#refused.set(send, refusal)
    }
    return this.#refused.size > before
  }
}
