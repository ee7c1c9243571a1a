/** What rules come to: rows in, a fee out. Pure, so that it is told by no database and decided in one place. */
import type { IdentityKey } from '../contract/protocol'
import type { Rule, WriteRequest } from '../db/permissions'

/** A fee that blocks, and one that asks for nothing; any other is a price in satoshis. */
export const BLOCKED = -1
export const FREE = 0

export type FeeStatus = 'always_allow' | 'blocked' | 'payment_required'

export function statusOf(fee: number): FeeStatus {
  if (fee === BLOCKED) return 'blocked'
  return fee === FREE ? 'always_allow' : 'payment_required'
}

/** The fee for one sender: its own rule wins over everyone's; without a rule it is free. */
export function feeFor({ recipient, messageBox, sender }: WriteRequest, rules: Rule[]): number {
  const about = (whom: IdentityKey | null): Rule | undefined =>
    rules.find((rule) => {
      return rule.recipient === recipient && rule.messageBox === messageBox && rule.sender === whom
    })
  return (about(sender) ?? about(null))?.recipientFee ?? FREE
}

/** What a message costs: once for its delivery, whose price is the server's, and for each recipient, in their order. */
export interface Terms {
  deliveryFee: number
  recipientFees: number[]
}

export const FREE_OF_CHARGE: Terms = { deliveryFee: FREE, recipientFees: [] }

export function isFree({ deliveryFee, recipientFees }: Terms): boolean {
  return deliveryFee === FREE && recipientFees.every((fee) => fee === FREE)
}

/** The recipients who take nothing from this sender. */
export function blockedOf(recipients: IdentityKey[], { recipientFees }: Terms): IdentityKey[] {
  return recipients.filter((_recipient, index) => recipientFees[index] === BLOCKED)
}
