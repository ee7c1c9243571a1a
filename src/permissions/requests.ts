/** From `unknown` to typed, for permissions: in the order in which the operations are documented to check. */
import { ApiError } from '../contract/errors'
import type { Rule } from '../db/permissions'
import {
  MAX_PAGE_PERMISSIONS,
  MAX_RECIPIENTS,
  USUAL_PERMISSIONS,
  type IdentityKey,
  type ListPermissionsRequest,
} from '../contract/protocol'
import {
  boxName,
  describe,
  fieldsOf,
  orNothing,
  publicKey,
  queriedNumber,
  queriedOrNothing,
  take,
  wholeNumber,
} from '../contract/schema'
import { asFields, toIdentityKey, toList, type Fields } from '../contract/primitives'

/** In satoshis: what four bytes with a sign hold, since clients and databases keep it so. */
const MAX_FEE = 2 ** 31 - 1

const rule = {
  messageBox: boxName,
  recipientFee: describe(
    wholeNumber(-1, MAX_FEE),
    'What each message costs its sender, in satoshis; -1 blocks, 0 allows.',
  ),
  sender: describe(
    orNothing(publicKey),
    'Whom the rule is about; everyone, where it is left out, null or empty.',
  ),
}
export const RULE_REQUEST = fieldsOf(rule, ['messageBox', 'recipientFee'])

const sought = {
  messageBox: boxName,
  sender: describe(
    queriedOrNothing(publicKey),
    'Whom the rule is about; everyone, where it is left out or empty.',
  ),
}
export const PERMISSION_QUERY = fieldsOf(sought, ['messageBox'])

const page = {
  messageBox: describe(
    queriedOrNothing(boxName),
    'The box whose rules are wanted; all boxes, where it is left out or empty.',
  ),
  limit: describe(queriedNumber(1, MAX_PAGE_PERMISSIONS), 'How many rules at most.', {
    default: USUAL_PERMISSIONS,
  }),
  offset: describe(queriedNumber(0), 'How many rules to pass over.', { default: 0 }),
}
const otherName = describe(
  page.messageBox,
  'Another name of "messageBox", heeded where that is left out.',
)
export const PERMISSIONS_QUERY = fieldsOf({ ...page, message_box: otherName })

export const QUOTE_QUERY = fieldsOf(
  {
    recipient: {
      json: {
        type: 'array',
        items: publicKey.json,
        minItems: 1,
        maxItems: MAX_RECIPIENTS,
        description: `Named as often as there are recipients, up to ${MAX_RECIPIENTS} times.`,
      },
    },
    messageBox: boxName,
  },
  ['recipient', 'messageBox'],
)

/** The body of POST /permissions/set: a rule of the caller's. */
export function parseRule(recipient: IdentityKey, request: unknown): Rule {
  const { messageBox, recipientFee, sender } = asFields(request) ?? {}
  if (typeof messageBox !== 'string' || typeof recipientFee !== 'number')
    throw new ApiError('ERR_INVALID_REQUEST')
  return {
    recipient,
    sender: take(rule.sender, sender, 'ERR_INVALID_PUBLIC_KEY'),
    recipientFee: take(rule.recipientFee, recipientFee, 'ERR_INVALID_FEE_VALUE'),
    messageBox: take(rule.messageBox, messageBox, 'ERR_INVALID_MESSAGE_BOX'),
  }
}

/** The query of GET /permissions/get; `sender` null means the rule for everyone. */
export function parsePermissionQuery(query: Fields): {
  messageBox: string
  sender: IdentityKey | null
} {
  const { messageBox, sender } = query
  if (messageBox === undefined || messageBox === '')
    throw new ApiError('ERR_MISSING_PARAMETERS', 'Name the box in "messageBox".')
  return {
    sender: take(sought.sender, sender, 'ERR_INVALID_PUBLIC_KEY'),
    messageBox: take(sought.messageBox, messageBox, 'ERR_INVALID_MESSAGE_BOX'),
  }
}

/** The query of GET /permissions/list; the released client says `message_box`. */
export function parsePermissionsQuery(query: Fields): ListPermissionsRequest {
  const { messageBox = query.message_box, limit = String(USUAL_PERMISSIONS), offset = '0' } = query
  const bounds = {
    limit: take(page.limit, limit, 'ERR_INVALID_LIMIT'),
    offset: take(page.offset, offset, 'ERR_INVALID_OFFSET'),
  }
  return {
    messageBox: take(page.messageBox, messageBox, 'ERR_INVALID_MESSAGE_BOX') ?? undefined,
    ...bounds,
  }
}

/** The query of GET /permissions/quote: each recipient once, in the order of their first naming. */
export function parseQuoteQuery(query: Fields): { recipients: IdentityKey[]; messageBox: string } {
  const named = toList(query.recipient)
  if (named.length === 0 || query.messageBox === undefined || query.messageBox === '')
    throw new ApiError(
      'ERR_MISSING_PARAMETERS',
      'Name the recipient in "recipient", or several in as many of them, and the box in "messageBox".',
    )
  if (named.length > MAX_RECIPIENTS)
    throw new ApiError(
      'ERR_TOO_MANY_RECIPIENTS',
      `A quote is for up to ${MAX_RECIPIENTS} recipients, this one names ${named.length}.`,
    )
  const keys = named.map(toIdentityKey)
  const invalid = keys.flatMap((key, index) => (key === undefined ? [index] : []))
  if (invalid.length > 0)
    throw new ApiError(
      'ERR_INVALID_PUBLIC_KEY',
      `No identity keys: the recipients at ${invalid.join(', ')}, counted from 0.`,
      { invalidIndexes: invalid },
    )
  return {
    recipients: [...new Set(keys as IdentityKey[])],
    messageBox: take(boxName, query.messageBox, 'ERR_INVALID_MESSAGE_BOX'),
  }
}
