/**
 * The message box itself: send, list, acknowledge. It knows no transport, and both transports come through
 * here. A send asks the policy, is paid for where that says so, is stored, and is then told to whoever listens, in
 * this order: what is answered with success has been committed, and whoever listens hears of it behind that answer.
 */
import type { StoredMessage } from './db/messages'
import type { MessageStore } from './db/store'
import { ApiError } from './errors'
import { toListedBody } from './listedBody'
import type { Metrics } from './metrics'
import type { DeliverPaid } from './payments/cashier'
import { isFree, type Terms } from './policy'
import type { IdentityKey, ListRequest, MessagePage, OutgoingMessage, PublishedMessage, SendResult } from './protocol'

/**
 * Decides, before anything is stored, on which terms a sender may write to these recipients' box.
 * @throws ApiError where it may not
 */
export type Policy = (sender: IdentityKey, message: OutgoingMessage) => Promise<Terms>

/** Tells live listeners about a message that has just been stored. Best effort: the table is the truth. */
export type Publish = (message: PublishedMessage) => void

export interface Mailbox {
  send: (sender: IdentityKey, message: OutgoingMessage) => Promise<SendResult[]>
  list: (recipient: IdentityKey, request: ListRequest) => Promise<MessagePage>
  acknowledge: (recipient: IdentityKey, messageIds: string[]) => Promise<void>
}

export interface MailboxParts {
  store: MessageStore
  policy: Policy
  deliverPaid: DeliverPaid
  publish: Publish
  metrics: Metrics
}

export function createMailbox ({ store, policy, deliverPaid, publish, metrics }: MailboxParts): Mailbox {
  return {
    async send (sender, message) {
      const terms = await policy(sender, message)
      const { messageBox, messageIds, recipients, body } = message
      const stored = isFree(terms) ? await store.insert(toRows(sender, message)) : await deliverPaid(sender, message, terms, async () => await policy(sender, message))
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

/** A message that costs nothing is stored for everybody alike; a payment beside it is passed on as it came. */
function toRows (sender: IdentityKey, message: OutgoingMessage): StoredMessage[] {
  const { messageBox, messageIds, recipients } = message
  const body = toListedBody(message, message.payment?.json)
  return recipients.map((recipient, index) => ({ recipient, messageBox, messageId: messageIds[index]!, sender, body }))
}
