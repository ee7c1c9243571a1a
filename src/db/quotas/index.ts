/**
 * Quotas: how much may be stored for a recipient, and from a sender. The transaction that stores or
 * removes messages also changes the counts in `quota_usage`, so they are always exact and reading
 * messages is never needed.
 */
import type { Knex } from 'knex'
import type { Quota, Quotas } from '../../config'
import { ApiError } from '../../contract/errors'
import type { IdentityKey } from '../../contract/protocol'
import { isNullRefused } from '../engine/faults'
import type { Statement } from '../engine/transaction'
import {
  addUsage,
  readUsage,
  subtractUsage,
  sumUsage,
  usageKey,
  type Counted,
  type Subject,
  type Usage,
  type UsageLimits,
} from './sql'

export { forgetUsage, isCounted, recount, removeZeroUsage } from './sql'

interface Message {
  recipient: IdentityKey
  sender: IdentityKey
  body: string
}

export interface QuotaCounter {
  /** False if there are no quotas. */
  readonly counts: boolean
  /** Counts messages that the same transaction stores. It fails if they exceed a quota. */
  add: (db: Knex, messages: Message[]) => Statement[]
  /** Subtracts messages that the same transaction removes. */
  subtract: (db: Knex, messages: Counted[]) => Statement[]
  /** Whether a transaction failed because of a quota. `headroom` then tells which. */
  isExceeded: (error: unknown) => boolean
  headroom: (db: Knex, messages: Message[]) => Promise<Headroom>
}

export function createQuotaCounter(quotas: Quotas): QuotaCounter {
  const headroom = async (db: Knex, messages: Message[]): Promise<Headroom> =>
    new Headroom(quotas, await readUsage(db, sumUsage(messages.map(toCounted))))
  if (!isLimited(quotas))
    return { counts: false, add: () => [], subtract: () => [], isExceeded: () => false, headroom }
  const limits = toUsageLimits(quotas)
  return {
    counts: true,
    add: (db, messages) => [addUsage(db, sumUsage(messages.map(toCounted)), limits)],
    subtract: (db, messages) =>
      messages.length === 0 ? [] : [subtractUsage(db, sumUsage(messages))],
    isExceeded: isNullRefused,
    headroom,
  }
}

export function isLimited({ inbox, sender }: Quotas): boolean {
  return [inbox.messages, inbox.bytes, sender.messages, sender.bytes].some(
    (limit) => limit !== undefined,
  )
}

function toUsageLimits({ inbox, sender }: Quotas): UsageLimits {
  const limit = ({
    messages = Number.MAX_SAFE_INTEGER,
    bytes = Number.MAX_SAFE_INTEGER,
  }: Quota): { messages: number; bytes: number } => ({ messages, bytes })
  return { inbox: limit(inbox), sender: limit(sender) }
}

/** How much more fits: the usage at one moment, plus the messages that were admitted since. */
export class Headroom {
  readonly #used: Map<string, Usage>

  constructor(
    private readonly quotas: Quotas,
    now: Usage[],
  ) {
    this.#used = new Map(now.map((usage) => [usageKey(usage), usage]))
  }

  /** Admits all messages of a send, or returns the error for the quota that they exceed. */
  admit(messages: Message[]): ApiError | undefined {
    const next = sumUsage(messages.map(toCounted)).map((change) => {
      const used = this.#used.get(usageKey(change))
      return {
        ...change,
        messages: change.messages + (used?.messages ?? 0),
        bytes: change.bytes + (used?.bytes ?? 0),
      }
    })
    for (const usage of next) {
      const exceeded = findExceeded(usage, this.quotas[usage.subject])
      if (exceeded !== undefined) return quotaError(usage, exceeded)
    }
    for (const usage of next) this.#used.set(usageKey(usage), usage)
    return undefined
  }
}

function findExceeded(
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

function quotaError(
  { subject, identityKey }: Usage,
  { limit, unit }: { limit: number; unit: string },
): ApiError {
  const description =
    subject === 'inbox'
      ? `The inbox of ${identityKey} holds up to ${limit} ${unit}: ` +
        'try again when the recipient has acknowledged some.'
      : `Up to ${limit} ${unit} of yours may wait for their recipients: ` +
        'try again when the recipients have acknowledged some.'
  return new ApiError(CODES[subject], description, {
    limit,
    unit,
    ...(subject === 'inbox' && { recipient: identityKey }),
  })
}

function toCounted({ recipient, sender, body }: Message): Counted {
  return { recipient, sender, bytes: Buffer.byteLength(body) }
}
