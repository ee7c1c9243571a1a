import { BLOCKED, FREE } from '../permissions/rules'
import type { Permission, Permissions, Quote } from '../permissions'
import {
  parsePermissionQuery,
  parsePermissionsQuery,
  parseQuoteQuery,
  parseRule,
} from '../permissions/requests'
import type { Fields } from '../contract/primitives'
import type { Operation } from './route'

/** POST /permissions/set: who may write into a box of the caller's, and at what price. */
export function setPermission(permissions: Permissions): Operation {
  return async ({ identityKey: recipient }, request) => {
    const rule = parseRule(recipient, request)
    await permissions.set(rule)
    return {
      status: 'success',
      description: `${rule.sender ?? 'Everyone'} ${describeFee(rule.recipientFee)} "${rule.messageBox}".`,
    }
  }
}

/** GET /permissions/get: the caller's rule for a sender, or for everyone. */
export function getPermission(permissions: Permissions): Operation {
  return async ({ identityKey: recipient }, query) => {
    const { messageBox, sender } = parsePermissionQuery(query as Fields)
    const permission = await permissions.get(recipient, messageBox, sender)
    const whom = sender ?? 'everyone'
    return {
      status: 'success',
      description: permission === null ? `There is no rule for ${whom}.` : `The rule for ${whom}.`,
      permission,
    }
  }
}

/** GET /permissions/list: the caller's rules. */
export function listPermissions(permissions: Permissions): Operation {
  return async ({ identityKey: recipient }, query) => {
    const { permissions: page, totalCount } = await permissions.list(
      recipient,
      parsePermissionsQuery(query as Fields),
    )
    return { status: 'success', permissions: page.map(inBothSpellings), totalCount }
  }
}

/** GET /permissions/quote: what it costs the caller to write to somebody, or to several. */
export function quote(permissions: Permissions): Operation {
  return async ({ identityKey: sender }, query) => {
    const { recipients, messageBox } = parseQuoteQuery(query as Fields)
    const quotes = await permissions.quote(sender, recipients, messageBox)
    const [{ deliveryFee, recipientFee }] = quotes as [Quote]
    if (quotes.length === 1)
      return {
        status: 'success',
        description: 'What a message costs.',
        quote: { deliveryFee, recipientFee },
      }
    return {
      status: 'success',
      description: `What a message to ${quotes.length} recipients costs.`,
      ...sumUp(quotes),
    }
  }
}

/** The delivery fee is due once for a message, however many recipients it has. */
function sumUp(quotes: Quote[]): object {
  const payable = quotes.filter(({ recipientFee }) => recipientFee !== BLOCKED)
  const deliveryFees = payable[0]?.deliveryFee ?? FREE
  const recipientFees = payable.reduce((sum, { recipientFee }) => sum + recipientFee, 0)
  return {
    quotesByRecipient: quotes,
    totals: {
      deliveryFees,
      recipientFees,
      totalForPayableRecipients: deliveryFees + recipientFees,
    },
    blockedRecipients: quotes
      .filter(({ recipientFee }) => recipientFee === BLOCKED)
      .map(({ recipient }) => recipient),
  }
}

function describeFee(fee: number): string {
  if (fee === BLOCKED) return 'is blocked from'
  return fee === FREE ? 'may write into' : `pays ${fee} satoshis for each message into`
}

/** The released client reads the second. */
function inBothSpellings(permission: Permission): object {
  const { messageBox, recipientFee, createdAt, updatedAt } = permission
  return {
    ...permission,
    message_box: messageBox,
    recipient_fee: recipientFee,
    created_at: createdAt,
    updated_at: updatedAt,
  }
}
