/**
 * Send, list and acknowledge, for both transports. A send is authorized, paid for if it has a
 * price, stored, answered and then published, in this order: a success means that the message is
 * committed, and its sender gets the answer before the recipient's sockets get the message.
 */
import type { CursorSealer } from './auth/cursor'
import type { MessageStore, StoredMessage } from './db/messages'
import { ApiError } from './contract/errors'
import { toListedBody } from './contract/listedBody'
import type { Metrics } from './metrics'
import type { DeliverPaid } from './payments/cashier'
import type { PriceOf } from './permissions'
import { isFree } from './permissions/rules'
import type { ByteBudget } from './limits/budget'
import type { Meter } from './limits/meter'
import { Slots } from './limits/slots'
import type {
  Caller,
  IdentityKey,
  ListRequest,
  MessagePage,
  OutgoingMessage,
  PublishedMessage,
  SendResult,
} from './contract/protocol'
import { toJson } from './contract/primitives'

/**
 * Tells a recipient of a stored message, such as on the sockets in its room. Does not throw and
 * does not wait: the message is in the table.
 * @returns how many sockets of this node get it
 */
export type Publish = (message: PublishedMessage) => number

export interface Mailbox {
  send: (sender: Caller, message: OutgoingMessage) => Promise<SendResult[]>
  list: (recipient: Caller, request: ListRequest) => Promise<MessagePage>
  acknowledge: (recipient: Caller, messageIds: string[]) => Promise<void>
}

/** How many list requests of one address run at once. Others wait. */
const MAX_LISTS_AT_ONCE = 4

export interface MailboxParts {
  store: MessageStore
  priceOf: PriceOf
  deliverPaid: DeliverPaid
  publishers: Publish[]
  cursors: CursorSealer
  /** Limits the work of requests that need more than a small one. */
  meter: Meter
  /** The memory for answers that clients have not read yet. */
  outgoing: ByteBudget
  /** How large a page may be, unless a single message is larger. */
  maxPageBytes: number
  metrics: Metrics
}

export function createMailbox({
  store,
  priceOf,
  deliverPaid,
  publishers,
  cursors,
  meter,
  outgoing,
  maxPageBytes,
  metrics,
}: MailboxParts): Mailbox {
  const lists = new Slots(meter.isOff ? Infinity : MAX_LISTS_AT_ONCE)
  const open = (owner: IdentityKey, cursor: string): number => {
    const after = cursors.open(owner, cursor)
    if (after === undefined) throw new ApiError('ERR_INVALID_CURSOR')
    return after
  }
  return {
    async send(caller, message) {
      const { messageBox, messageIds, recipients, body } = message
      const { identityKey: sender } = caller
      const copies = recipients.length - 1
      await meter.spend(caller, { rows: copies, bytes: copies * body.length })
      const price = await priceOf(sender, message)
      const stored = isFree(price)
        ? await store.insert(toRows(sender, message), { address: caller.address })
        : await deliverPaid(caller, message, price)
      const results = recipients.map((recipient, index): SendResult => {
        const messageId = messageIds[index]!
        const { createdAt, duplicate } = stored[index]!
        if (duplicate) return { recipient, messageId, duplicate: true }
        // The sender's answer leaves first.
        setImmediate(() => {
          const published = { messageId, messageBox, sender, recipient, body, createdAt }
          let deliveries = 0
          for (const publish of publishers) deliveries += publish(published)
          meter.charge(caller, { deliveries })
        })
        return { recipient, messageId }
      })
      metrics.sent(results)
      return results
    },

    async list(caller, { after: cursor, ...request }) {
      const { identityKey, address } = caller
      const place = {
        ...request,
        ...(cursor !== undefined && { after: open(identityKey, cursor) }),
      }
      // Reject a client that does not read its answers before reading another page for it.
      if (![identityKey, address].every((owner) => outgoing.hasRoom(owner, maxPageBytes)))
        throw new ApiError('ERR_SERVER_BUSY')
      return await lists.run(
        address,
        async () => {
          // Earlier lists may have used up the caller's limit: a page is charged by its bytes.
          await meter.check(caller)
          const { nextAfter, ...page } = await store.list(identityKey, place)
          meter.charge(caller, { bytes: page.json.length })
          const nextCursor = nextAfter === null ? null : cursors.seal(identityKey, nextAfter)
          return { ...page, nextCursor }
        },
        (page) => meter.timeOf({ bytes: page.json.length }) * MAX_LISTS_AT_ONCE,
      )
    },

    async acknowledge(caller, messageIds) {
      const { identityKey: recipient } = caller
      await meter.spend(caller, { removals: messageIds.length })
      const removed = messageIds.length === 0 ? 0 : await store.remove(recipient, messageIds)
      if (removed === 0) throw new ApiError('ERR_INVALID_ACKNOWLEDGMENT')
      metrics.acknowledged(removed)
    },
  }
}

/** A free message has the same body for all recipients. A payment in it is stored unchanged. */
function toRows(sender: IdentityKey, message: OutgoingMessage): StoredMessage[] {
  const { messageBox, messageIds, recipients } = message
  const body = toListedBody(
    message,
    message.payment === undefined ? undefined : toJson(message.payment),
  )
  return recipients.map((recipient, index) => ({
    recipient,
    messageBox,
    messageId: messageIds[index]!,
    sender,
    body,
  }))
}
