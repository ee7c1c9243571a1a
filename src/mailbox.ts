/**
 * The message box itself: send, list, acknowledge. It knows no transport, and both transports come through
 * here. A send asks the policy, then stores, then tells whoever listens, in this order: what is answered with
 * success has been committed, and whoever listens hears of it behind that answer.
 */
import { ApiError } from './errors'
import type { MessageStore } from './db/store'
import type { Metrics } from './metrics'
import type { IdentityKey, ListRequest, MessagePage, OutgoingMessage, PublishedMessage, SendResult } from './protocol'

/**
 * Decides, before anything is stored, whether a sender may write to these recipients' box.
 * @throws ApiError where it may not
 */
export type Policy = (sender: IdentityKey, message: OutgoingMessage) => Promise<void>

/** Tells live listeners about a message that has just been stored. Best effort: the table is the truth. */
export type Publish = (message: PublishedMessage) => void

export interface Mailbox {
  send: (sender: IdentityKey, message: OutgoingMessage) => Promise<SendResult[]>
  list: (recipient: IdentityKey, request: ListRequest) => Promise<MessagePage>
  acknowledge: (recipient: IdentityKey, messageIds: string[]) => Promise<void>
}

/** Everybody may write to everybody. */
export const allowAll: Policy = async () => {}

export interface MailboxParts {
  store: MessageStore
  policy: Policy
  publish: Publish
  metrics: Metrics
}

export function createMailbox ({ store, policy, publish, metrics }: MailboxParts): Mailbox {
  return {
    async send (sender, message) {
      await policy(sender, message)
      const { messageBox, messageIds, recipients, body, listedBody } = message
      const stored = await store.insert(recipients.map((recipient, index) => {
        return { recipient, messageBox, messageId: messageIds[index]!, sender, body: listedBody }
      }))
      const results = recipients.map((recipient, index): SendResult => {
        const messageId = messageIds[index]!
        const { createdAt, duplicate } = stored[index]!
        if (duplicate) return { recipient, messageId, duplicate: true }
        // The sender's answer leaves first; listeners come after it.
        setImmediate(publish, { messageId, messageBox, sender, recipient, body, createdAt })
        return { recipient, messageId }
      })
      metrics.sent(results)
      return results
    },

    list: store.list,

    async acknowledge (recipient, messageIds) {
      const removed = messageIds.length === 0 ? 0 : await store.remove(recipient, messageIds)
      if (removed === 0) throw new ApiError('ERR_INVALID_ACKNOWLEDGMENT')
      metrics.acknowledged(removed)
    }
  }
}
