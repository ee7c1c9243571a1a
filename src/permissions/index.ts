/** Who may write to whom, and at what price: rules set by recipients, and what they come to for a sender. */
import type { DeliveryFees } from '../config'
import { ApiError } from '../contract/errors'
import type { Rule, RuleStore } from '../db/permissions'
import { blockedOf, BLOCKED, feeFor, FREE, statusOf, type FeeStatus, type Terms } from './rules'
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
  /** The rule for just this sender, or for everyone; null where there is none. */
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
  /**
   * What a message to these recipients costs its sender.
   * @throws ApiError ERR_DELIVERY_BLOCKED where one of them blocks it
   */
  terms: (
    sender: IdentityKey,
    message: { recipients: IdentityKey[]; messageBox: string },
  ) => Promise<Terms>
}

export function createPermissions({
  rules,
  deliveryFees,
}: {
  rules: RuleStore
  deliveryFees: DeliveryFees
}): Permissions {
  const termsFor = async (
    sender: IdentityKey,
    recipients: IdentityKey[],
    messageBox: string,
  ): Promise<Terms> => {
    const asked = recipients.map((recipient) => ({ recipient, messageBox, sender }))
    const found = await rules.about(asked)
    // A box may have any name, those of an object's own parts among them.
    const deliveryFee = Object.hasOwn(deliveryFees, messageBox) ? deliveryFees[messageBox]! : FREE
    return { deliveryFee, recipientFees: asked.map((one) => feeFor(one, found)) }
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
      const { deliveryFee, recipientFees } = await termsFor(sender, recipients, messageBox)
      return recipients.map((recipient, index) => {
        const recipientFee = recipientFees[index]!
        return { recipient, messageBox, deliveryFee, recipientFee, status: statusOf(recipientFee) }
      })
    },

    async terms(sender, { recipients, messageBox }) {
      const terms = await termsFor(sender, recipients, messageBox)
      if (terms.recipientFees.includes(BLOCKED)) {
        throw new ApiError('ERR_DELIVERY_BLOCKED', undefined, {
          blockedRecipients: blockedOf(recipients, terms),
        })
      }
      return terms
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
