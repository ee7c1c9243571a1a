/** Recipients set rules about senders: whether a sender may write, and at what price. */
import type { DeliveryFees } from '../config'
import { ApiError } from '../contract/errors'
import type { Rule, RuleStore } from '../db/permissions'
import { blockedOf, BLOCKED, feeFor, FREE, statusOf, type FeeStatus, type Price } from './rules'
import type { IdentityKey, ListPermissionsRequest } from '../contract/protocol'

/** A rule as its recipient sees it; times are ISO 8601 in UTC. */
export interface Permission {
  sender: IdentityKey | null
  messageBox: string
  recipientFee: number
  status: FeeStatus
  createdAt: string
  updatedAt: string
}

export interface Quote {
  recipient: IdentityKey
  messageBox: string
  deliveryFee: number
  recipientFee: number
  status: FeeStatus
}

export interface Permissions {
  set: (rule: Rule) => Promise<void>
  /** The rule for this very sender, or for all if `sender` is null. Null if there is none. */
  get: (
    recipient: IdentityKey,
    messageBox: string,
    sender: IdentityKey | null,
  ) => Promise<Permission | null>
  list: (
    recipient: IdentityKey,
    request: ListPermissionsRequest,
  ) => Promise<{ permissions: Permission[]; totalCount: number }>
  quote: (sender: IdentityKey, recipients: IdentityKey[], messageBox: string) => Promise<Quote[]>
  priceOf: PriceOf
}

/**
 * What a message to these recipients costs its sender.
 * @throws ApiError ERR_DELIVERY_BLOCKED if a recipient blocks the sender
 */
export type PriceOf = (
  sender: IdentityKey,
  message: { recipients: IdentityKey[]; messageBox: string },
) => Promise<Price>

export function createPermissions({
  rules,
  deliveryFees,
}: {
  rules: RuleStore
  deliveryFees: DeliveryFees
}): Permissions {
  const findPrice = async (
    sender: IdentityKey,
    recipients: IdentityKey[],
    messageBox: string,
  ): Promise<Price> => {
    const requests = recipients.map((recipient) => ({ recipient, messageBox, sender }))
    const found = await rules.about(requests)
    // A box may be named like a property that every object inherits, such as "constructor".
    const deliveryFee = Object.hasOwn(deliveryFees, messageBox) ? deliveryFees[messageBox]! : FREE
    return { deliveryFee, recipientFees: requests.map((request) => feeFor(request, found)) }
  }

  return {
    set: rules.set,

    async get(recipient, messageBox, sender) {
      const rule = await rules.get(recipient, messageBox, sender)
      return rule === undefined ? null : toPermission(rule)
    },

    async list(recipient, request) {
      const { rules: page, totalCount } = await rules.list(recipient, request)
      return { permissions: page.map(toPermission), totalCount }
    },

    async quote(sender, recipients, messageBox) {
      const { deliveryFee, recipientFees } = await findPrice(sender, recipients, messageBox)
      return recipients.map((recipient, index) => {
        const recipientFee = recipientFees[index]!
        return { recipient, messageBox, deliveryFee, recipientFee, status: statusOf(recipientFee) }
      })
    },

    async priceOf(sender, { recipients, messageBox }) {
      const price = await findPrice(sender, recipients, messageBox)
      if (price.recipientFees.includes(BLOCKED)) {
        throw new ApiError('ERR_DELIVERY_BLOCKED', undefined, {
          blockedRecipients: blockedOf(recipients, price),
        })
      }
      return price
    },
  }
}

function toPermission({
  sender,
  messageBox,
  recipientFee,
  createdAt,
  updatedAt,
}: Rule & { createdAt: number; updatedAt: number }): Permission {
  return {
    sender,
    messageBox,
    recipientFee,
    status: statusOf(recipientFee),
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
  }
}
