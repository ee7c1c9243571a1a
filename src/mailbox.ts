/**
 * The message box itself: send, list, acknowledge. It knows no transport, and both transports come through
 * here. A send asks the policy, is paid for where that says so, is stored, and is then told to whoever listens, in
 * this order: what is answered with success has been committed, and whoever listens hears of it behind that answer.
 */
import type { MessageStore, StoredMessage } from './db/messages'
import { ApiError } from './contract/errors'
import { toListedBody } from './contract/listedBody'
import type { Metrics } from './metrics'
import type { DeliverPaid } from './payments/cashier'
import { isFree, type Terms } from './permissions/rules'
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
 * Decides, before anything is stored, on which terms a sender may write to these recipients' box.
 * @throws ApiError where it may not
 */
export type Policy = (sender: IdentityKey, message: OutgoingMessage) => Promise<Terms>

/**
 * Tells live listeners about a message that has just been stored. Best effort: the table is the truth.
 * @returns how many sockets of this node it goes to
 */
export type Publish = (message: PublishedMessage) => number

export interface Mailbox {
  send: (sender: Caller, message: OutgoingMessage) => Promise<SendResult[]>
  list: (recipient: Caller, request: ListRequest) => Promise<MessagePage>
  acknowledge: (recipient: Caller, messageIds: string[]) => Promise<void>
}

/** How many lists of one address are made at once; others wait. */
const LISTS_AT_ONCE = 4

export interface MailboxParts {
  store: MessageStore
  policy: Policy
  deliverPaid: DeliverPaid
  publish: Publish
  /** Counts work beyond that of a small request. */
  meter: Meter
  /** The memory for answers that clients have not read yet. */
  outgoing: ByteBudget
  /** About how many bytes one page has at most. */
  maxPageBytes: number
  metrics: Metrics
}

export function createMailbox({
  store,
  policy,
  deliverPaid,
  publish,
  meter,
  outgoing,
  maxPageBytes,
  metrics,
}: MailboxParts): Mailbox {
  const lists = new Slots(meter.isOff ? Infinity : LISTS_AT_ONCE)
  return {
    async send(caller, message) {
      const { messageBox, messageIds, recipients, body } = message
      const { identityKey: sender } = caller
      const copies = recipients.length - 1
      await meter.spend(caller, { rows: copies, bytes: copies * body.length })
      const terms = await policy(sender, message)
      const stored = isFree(terms)
        ? await store.insert(toRows(sender, message), { address: caller.address })
        : await deliverPaid(caller, message, terms, async () => await policy(sender, message))
      const results = recipients.map((recipient, index): SendResult => {
        const messageId = messageIds[index]!
        const { createdAt, duplicate } = stored[index]!
        if (duplicate) return { recipient, messageId, duplicate: true }
        // The sender's answer leaves first; listeners come after it.
        setImmediate(() => {
          meter.charge(caller, {
            deliveries: publish({ messageId, messageBox, sender, recipient, body, createdAt }),
          })
        })
        return { recipient, messageId }
      })
      metrics.sent(results)
      return results
    },

    async list(caller, request) {
      const { identityKey, address } = caller
      // A client that reads nothing of what it has asked for is refused before there is another page.
      if (![identityKey, address].every((owner) => outgoing.hasRoom(owner, maxPageBytes)))
        throw new ApiError('ERR_SERVER_BUSY')
      return await lists.run(
        address,
        async () => {
          // Those before it may have used up what the caller has: a page costs as much as it holds.
          await meter.check(caller)
          const page = await store.list(identityKey, request)
          meter.charge(caller, { bytes: page.json.length })
          return page
        },
        (page) => meter.timeOf({ bytes: page.json.length }) * LISTS_AT_ONCE,
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

/** A message that costs nothing is stored for everybody alike; a payment beside it is passed on as it came. */
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
