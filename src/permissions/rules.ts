/** The price of a message by its recipients' rules. Pure: the rules come in, the fees go out. */
import type { IdentityKey } from '../contract/protocol'
import type { Rule, WriteRequest } from '../db/permissions'

/** Special fees: one blocks, one allows for free. Any other fee is in satoshis. */
export const BLOCKED = -1
export const FREE = 0

export type FeeStatus = 'always_allow' | 'blocked' | 'payment_required'

export function statusOf(fee: number): FeeStatus {
  if (fee === BLOCKED) return 'blocked'
  return fee === FREE ? 'always_allow' : 'payment_required'
}

/** The fee for one sender: its own rule wins over the rule for all. Without a rule it is free. */
export function feeFor({ recipient, messageBox, sender }: WriteRequest, rules: Rule[]): number {
  const own = rules.filter((rule) => rule.recipient === recipient && rule.messageBox === messageBox)
  const ruleFor = (key: IdentityKey | null): Rule | undefined =>
    own.find((rule) => rule.sender === key)
  return (ruleFor(sender) ?? ruleFor(null))?.recipientFee ?? FREE
}

/** The price of a message in satoshis: `recipientFees` are in the order of the recipients. */
export interface Price {
  deliveryFee: number
  recipientFees: number[]
}

export const FREE_OF_CHARGE: Price = { deliveryFee: FREE, recipientFees: [] }

export function isFree({ deliveryFee, recipientFees }: Price): boolean {
  return deliveryFee === FREE && recipientFees.every((fee) => fee === FREE)
}

/** The recipients that block this sender. */
export function blockedOf(recipients: IdentityKey[], { recipientFees }: Price): IdentityKey[] {
  return recipients.filter((_recipient, index) => recipientFees[index] === BLOCKED)
}
