/**
 * Quotas: how much may be stored for a recipient, and from a sender. What is stored is counted in a table of its
 * own, in the very transaction that stores or removes it, so that it is exact whatever happens meanwhile, and
 * no message is ever counted by reading messages.
 */
import type { Knex } from 'knex'
import type { Quota, Quotas } from '../../config'
import { ApiError } from '../../contract/errors'
import { isNullRefused } from '../engine/faults'
import type { StoredMessage } from '../messages/sql'
import type { Statement } from '../engine/transaction'
import {
  addUsage,
  readUsage,
  subtractUsage,
  sumUsage,
  usageKey,
  type Counted,
  type Most,
  type Subject,
  type Usage,
} from './sql'

export interface Ledger {
  /** Whether anything is counted at all. */
  readonly counts: boolean
  /** Counts messages that the same transaction stores; the statement fails where they do not fit. */
  add: (db: Knex, messages: StoredMessage[]) => Statement[]
  /** Counts messages off that the same transaction removes. */
  subtract: (db: Knex, messages: Counted[]) => Statement[]
  /** Whether a transaction failed since something did not fit; `room` then tells what. */
  isExceeded: (error: unknown) => boolean
  /** How much room is left now for such messages. */
  room: (db: Knex, messages: StoredMessage[]) => Promise<Room>
}

export function createLedger(quotas: Quotas): Ledger {
  const room = async (db: Knex, messages: StoredMessage[]): Promise<Room> => {
    return new Room(quotas, await readUsage(db, sumUsage(messages.map(toCounted))))
  }
  // Nothing is counted, so nothing is ever exceeded.
  if (!isLimited(quotas))
    return { counts: false, add: () => [], subtract: () => [], isExceeded: () => false, room }
  const most = toMost(quotas)
  return {
    counts: true,
    add: (db, messages) => [addUsage(db, sumUsage(messages.map(toCounted)), most)],
    subtract: (db, messages) =>
      messages.length === 0 ? [] : [subtractUsage(db, sumUsage(messages))],
    isExceeded: isNullRefused,
    room,
  }
}

export function isLimited({ inbox, sender }: Quotas): boolean {
  return [inbox.messages, inbox.bytes, sender.messages, sender.bytes].some(
    (limit) => limit !== undefined,
  )
}

function toMost({ inbox, sender }: Quotas): Most {
  const most = ({
    messages = Number.MAX_SAFE_INTEGER,
    bytes = Number.MAX_SAFE_INTEGER,
  }: Quota): { messages: number; bytes: number } => ({ messages, bytes })
  return { inbox: most(inbox), sender: most(sender) }
}

/** What is stored at one moment, and then with what was admitted. */
export class Room {
  readonly #used: Map<string, Usage>

  constructor(
    private readonly quotas: Quotas,
    now: Usage[],
  ) {
    this.#used = new Map(now.map((usage) => [usageKey(usage), usage]))
  }

  /** Admits the messages of a send, all or none; returns the refusal where they do not fit. */
  admit(messages: StoredMessage[]): ApiError | undefined {
    const next = sumUsage(messages.map(toCounted)).map((change) => {
      const used = this.#used.get(usageKey(change))
      return {
        ...change,
        messages: change.messages + (used?.messages ?? 0),
        bytes: change.bytes + (used?.bytes ?? 0),
      }
    })
    for (const usage of next) {
      const limit = exceeds(usage, this.quotas[usage.subject])
      if (limit !== undefined) return refusal(usage, limit)
    }
    for (const usage of next) this.#used.set(usageKey(usage), usage)
    return undefined
  }
}

/** The limit that is exceeded, if one is. */
function exceeds(
  { messages, bytes }: Usage,
  quota: Quota,
): { limit: number; unit: 'messages' | 'bytes' } | undefined {
  if (quota.messages !== undefined && messages > quota.messages)
    return { limit: quota.messages, unit: 'messages' }
  if (quota.bytes !== undefined && bytes > quota.bytes) return { limit: quota.bytes, unit: 'bytes' }
  return undefined
}

const CODES = {
  inbox: 'ERR_INBOX_QUOTA_EXCEEDED',
  sender: 'ERR_SENDER_QUOTA_EXCEEDED',
} as const satisfies Record<Subject, string>

function refusal(
  { subject, identityKey }: Usage,
  { limit, unit }: { limit: number; unit: string },
): ApiError {
  const description =
    subject === 'inbox'
      ? `The inbox of ${identityKey} holds up to ${limit} ${unit}: it takes messages again when some were acknowledged.`
      : `Up to ${limit} ${unit} of yours may wait for their recipients: send again when some were acknowledged.`
  return new ApiError(CODES[subject], description, {
    limit,
    unit,
    ...(subject === 'inbox' && { recipient: identityKey }),
  })
}

function toCounted({ recipient, sender, body }: StoredMessage): Counted {
  return { recipient, sender, bytes: Buffer.byteLength(body) }
}
