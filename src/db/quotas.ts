/**
 * Quotas: how much may be stored for a recipient, and from a sender. What is stored is counted in a table of its
 * own, in the very transaction that stores or removes it, so that it is exact whatever happens meanwhile, and
 * no message is ever counted by reading messages.
 */
import type { Knex } from 'knex'
import type { Quota, Quotas } from '../config'
import { ApiError } from '../errors'
import type { StoredMessage } from './messages'
import { changeUsage, readUsage, sumUsage, usageKey, type Counted, type Subject, type Usage } from './usage'

export interface Ledger {
  /** Whether anything is counted at all. */
  readonly counts: boolean
  /**
   * Counts messages that the same transaction stores.
   * @throws QuotaExceeded where some do not fit; the transaction is to be rolled back
   */
  add: (trx: Knex, messages: StoredMessage[]) => Promise<void>
  /** Counts messages off that the same transaction removes. */
  subtract: (trx: Knex, messages: Counted[]) => Promise<void>
}

/** Nothing is counted. */
const NO_LEDGER: Ledger = { counts: false, add: async () => {}, subtract: async () => {} }

export function createLedger (quotas: Quotas): Ledger {
  if (!isLimited(quotas)) return NO_LEDGER
  return {
    counts: true,
    async add (trx, messages) {
      const changes = sumUsage(messages.map(toCounted))
      await changeUsage(trx, changes, 1)
      // Behind the change, whose locks keep anybody else from changing it until the transaction ends.
      const now = await readUsage(trx, changes)
      if (now.some(usage => exceeds(usage, quotas[usage.subject]) !== undefined)) throw new QuotaExceeded(quotas, now, changes)
    },
    async subtract (trx, messages) {
      await changeUsage(trx, sumUsage(messages), -1)
    }
  }
}

export function isLimited ({ inbox, sender }: Quotas): boolean {
  return [inbox.messages, inbox.bytes, sender.messages, sender.bytes].some(limit => limit !== undefined)
}

/** Some of what was to be stored does not fit; `admit` tells which. */
export class QuotaExceeded extends Error {
  /** What is stored without this transaction, and then with what was admitted. */
  readonly #used: Map<string, Usage>

  constructor (private readonly quotas: Quotas, now: Usage[], changes: Usage[]) {
    super('a quota is exceeded')
    const ours = new Map(changes.map(change => [usageKey(change), change]))
    this.#used = new Map(now.map(usage => {
      const key = usageKey(usage)
      const { messages = 0, bytes = 0 } = ours.get(key) ?? {}
      return [key, { ...usage, messages: usage.messages - messages, bytes: usage.bytes - bytes }]
    }))
  }

  /** Admits the messages of a send, all or none; returns the refusal where they do not fit. */
  admit (messages: StoredMessage[]): ApiError | undefined {
    const next = sumUsage(messages.map(toCounted)).map(change => {
      const used = this.#used.get(usageKey(change))
      return { ...change, messages: change.messages + (used?.messages ?? 0), bytes: change.bytes + (used?.bytes ?? 0) }
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
function exceeds ({ messages, bytes }: Usage, quota: Quota): { limit: number, unit: 'messages' | 'bytes' } | undefined {
  if (quota.messages !== undefined && messages > quota.messages) return { limit: quota.messages, unit: 'messages' }
  if (quota.bytes !== undefined && bytes > quota.bytes) return { limit: quota.bytes, unit: 'bytes' }
  return undefined
}

const CODES = { inbox: 'ERR_INBOX_QUOTA_EXCEEDED', sender: 'ERR_SENDER_QUOTA_EXCEEDED' } as const satisfies Record<Subject, string>

function refusal ({ subject, identityKey }: Usage, { limit, unit }: { limit: number, unit: string }): ApiError {
  const description = subject === 'inbox'
    ? `The inbox of ${identityKey} holds up to ${limit} ${unit}: it takes messages again when some were acknowledged.`
    : `Up to ${limit} ${unit} of yours may wait for their recipients: send again when some were acknowledged.`
  return new ApiError(CODES[subject], description, { limit, unit, ...(subject === 'inbox' && { recipient: identityKey }) })
}

function toCounted ({ recipient, sender, body }: StoredMessage): Counted {
  return { recipient, sender, bytes: Buffer.byteLength(body) }
}
