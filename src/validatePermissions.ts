/** From `unknown` to typed, for permissions: in the order in which the operations are documented to check. */
import { ApiError } from './errors'
import type { Rule } from './policy'
import { MAX_PAGE_PERMISSIONS, MAX_RECIPIENTS, USUAL_PERMISSIONS, type IdentityKey, type ListPermissionsRequest } from './protocol'
import { asFields, isInteger, parseName, toIdentityKey, toList, type Fields } from './values'

/** The body of POST /permissions/set: a rule of the caller's. */
export function parseRule (recipient: IdentityKey, request: unknown): Rule {
  const { messageBox, recipientFee, sender } = asFields(request) ?? {}
  if (typeof messageBox !== 'string' || typeof recipientFee !== 'number') throw new ApiError('ERR_INVALID_REQUEST')
  const rule = { recipient, sender: parseSender(sender) }
  if (!isInteger(recipientFee) || recipientFee < -1) throw new ApiError('ERR_INVALID_FEE_VALUE')
  return { ...rule, recipientFee, messageBox: parseName(messageBox.trim(), 'ERR_INVALID_MESSAGE_BOX') }
}

/** The query of GET /permissions/get; `sender` null means the rule for everyone. */
export function parsePermissionQuery (query: Fields): { messageBox: string, sender: IdentityKey | null } {
  const { messageBox, sender } = query
  if (messageBox === undefined || messageBox === '') throw new ApiError('ERR_MISSING_PARAMETERS', 'Name the box in "messageBox".')
  return { sender: parseSender(sender), messageBox: parseQueriedBox(messageBox) }
}

/** The query of GET /permissions/list; the released client says `message_box`. */
export function parsePermissionsQuery (query: Fields): ListPermissionsRequest {
  const { messageBox = query.message_box, limit = String(USUAL_PERMISSIONS), offset = '0' } = query
  if (!isQueriedInteger(limit) || Number(limit) < 1 || Number(limit) > MAX_PAGE_PERMISSIONS) throw new ApiError('ERR_INVALID_LIMIT')
  if (!isQueriedInteger(offset)) throw new ApiError('ERR_INVALID_OFFSET')
  return { messageBox: messageBox === undefined || messageBox === '' ? undefined : parseQueriedBox(messageBox), limit: Number(limit), offset: Number(offset) }
}

/** The query of GET /permissions/quote: each recipient once, in the order of their first naming. */
export function parseQuoteQuery (query: Fields): { recipients: IdentityKey[], messageBox: string } {
  const named = toList(query.recipient)
  if (named.length === 0 || query.messageBox === undefined || query.messageBox === '') throw new ApiError('ERR_MISSING_PARAMETERS', 'Name the recipient in "recipient", or several in as many of them, and the box in "messageBox".')
  if (named.length > MAX_RECIPIENTS) throw new ApiError('ERR_TOO_MANY_RECIPIENTS', `A quote is for up to ${MAX_RECIPIENTS} recipients, this one names ${named.length}.`)
  const keys = named.map(toIdentityKey)
  const invalid = keys.flatMap((key, index) => key === undefined ? [index] : [])
  if (invalid.length > 0) throw new ApiError('ERR_INVALID_PUBLIC_KEY', `No identity keys: the recipients at ${invalid.join(', ')}, counted from 0.`, { invalidIndexes: invalid })
  return { recipients: [...new Set(keys as IdentityKey[])], messageBox: parseQueriedBox(query.messageBox) }
}

function parseSender (sender: unknown): IdentityKey | null {
  if (sender === undefined || sender === null || sender === '') return null
  const key = toIdentityKey(sender)
  if (key === undefined) throw new ApiError('ERR_INVALID_PUBLIC_KEY')
  return key
}

function parseQueriedBox (value: unknown): string {
  return parseName(typeof value === 'string' ? value.trim() : value, 'ERR_INVALID_MESSAGE_BOX')
}

function isQueriedInteger (value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,15}$/.test(value)
}
