/** From `unknown` to typed: each function returns a valid value or throws an `ApiError`, in the contract's order. */
import { ApiError } from './errors'
import type { SentBody } from './listedBody'
import {
  MAX_ACKNOWLEDGED_IDS, MAX_LIVE_BODY, MAX_PAGE_MESSAGES, MAX_RECIPIENTS, MAX_ROOM_LENGTH, splitRoom,
  type IdentityKey, type ListRequest, type OutgoingMessage, type Room
} from './protocol'
import { asFields, isInteger, isName, isWellFormed, parseName, toIdentityKey, toJson, toList, type Fields } from './values'

/** The body of POST /sendMessage; unknown keys are ignored, `recipients` wins over `recipient`. */
export function parseSendRequest (request: unknown): OutgoingMessage {
  const fields = asFields(request)
  const message = asFields(fields?.message)
  if (message === undefined) throw new ApiError('ERR_MESSAGE_REQUIRED')
  return parseMessage(message, asFields(fields?.payment))
}

/** A message that is to be sent, whichever way it came, with the payment that came beside it. */
export function parseMessage (message: Fields, payment?: Fields): OutgoingMessage {
  const messageBox = parseBoxName(message.messageBox)
  const sent = parseBody(message.body)
  const named = toList(message.recipients ?? message.recipient)
  if (named.length === 0) throw new ApiError('ERR_RECIPIENT_REQUIRED')
  const ids = message.messageId === '' ? [''] : toList(message.messageId)
  if (ids.length === 0) throw new ApiError('ERR_MESSAGEID_REQUIRED')
  if (ids.length !== named.length) {
    throw new ApiError('ERR_MESSAGEID_COUNT_MISMATCH', `There are ${named.length} recipients and ${ids.length} message ids: give one id for each recipient.`)
  }
  const messageIds = ids.map(id => parseName(id, 'ERR_INVALID_MESSAGEID'))
  return { recipients: parseRecipients(named), messageIds, messageBox, ...sent, ...(payment !== undefined && { payment: { fields: payment, json: toJson(payment) } }) }
}

/** The body of POST /listMessages; `skip` is another name of `offset`. */
export function parseListRequest (request: unknown): ListRequest {
  const fields = asFields(request) ?? {}
  if (fields.messageBox === undefined || fields.messageBox === null || fields.messageBox === '') throw new ApiError('ERR_MESSAGEBOX_REQUIRED')
  const { limit = MAX_PAGE_MESSAGES, offset = fields.skip ?? 0 } = fields
  const messageBox = parseBoxName(fields.messageBox)
  if (!isInteger(limit) || limit < 1 || limit > MAX_PAGE_MESSAGES) throw new ApiError('ERR_INVALID_LIMIT')
  if (!isInteger(offset) || offset < 0) throw new ApiError('ERR_INVALID_OFFSET')
  return { messageBox, limit, offset }
}

/** The body of POST /acknowledgeMessage: the distinct ids that could name a message. */
export function parseAcknowledgeRequest (request: unknown): string[] {
  const ids = asFields(request)?.messageIds
  if (ids === undefined || ids === null || (Array.isArray(ids) && ids.length === 0)) throw new ApiError('ERR_MESSAGE_ID_REQUIRED')
  if (!Array.isArray(ids) || ids.length > MAX_ACKNOWLEDGED_IDS || !ids.every(id => typeof id === 'string')) throw new ApiError('ERR_INVALID_MESSAGE_ID')
  return [...new Set<string>(ids)].filter(isName)
}

/** The data of the socket's `sendMessage`: one message, whose recipient is the room's owner. */
export function parseLiveSend (data: unknown): OutgoingMessage {
  const fields = asFields(data)
  const { recipient, messageBox } = parseRoom(fields?.roomId)
  const message = asFields(fields?.message)
  if (message === undefined) throw new ApiError('ERR_MESSAGE_REQUIRED')
  const payment = asFields(fields?.payment) ?? asFields(message.payment)
  const parsed = parseMessage({ messageBox, body: message.body, recipient: message.recipient, messageId: message.messageId }, payment)
  if (parsed.recipients.length !== 1 || parsed.recipients[0] !== recipient) {
    throw new ApiError('ERR_INVALID_ROOM', 'The room belongs to another identity than the recipient of the message.')
  }
  if (Buffer.byteLength(parsed.body) > MAX_LIVE_BODY) {
    throw new ApiError('ERR_BODY_TOO_LARGE', `A live message holds up to ${MAX_LIVE_BODY} bytes: send it over HTTP.`, { limit: MAX_LIVE_BODY })
  }
  return parsed
}

/** A room's name: an identity key, a hyphen, the name of a box, further hyphens included. */
export function parseRoom (value: unknown): Room {
  const room = typeof value === 'string' && value.length <= MAX_ROOM_LENGTH ? splitRoom(value) : undefined
  const recipient = toIdentityKey(room?.recipient)
  const messageBox = room?.messageBox.trim()
  if (recipient === undefined || !isName(messageBox)) throw new ApiError('ERR_INVALID_ROOM')
  return { recipient, messageBox }
}

/** The name of a box, trimmed. */
export function parseBoxName (value: unknown): string {
  return parseName(typeof value === 'string' ? value.trim() : value, 'ERR_INVALID_MESSAGEBOX')
}

function parseRecipients (named: unknown[]): IdentityKey[] {
  // Curve arithmetic for more keys than a message may have would only serve whoever sends them.
  const keys = named.slice(0, MAX_RECIPIENTS + 1).map((value, index) => {
    const key = toIdentityKey(value)
    if (key === undefined) throw new ApiError('ERR_INVALID_RECIPIENT_KEY', `Recipient ${index} is no identity key: a secp256k1 public key in hex.`)
    return key
  })
  if (named.length > MAX_RECIPIENTS) throw new ApiError('ERR_TOO_MANY_RECIPIENTS', `A message may have up to ${MAX_RECIPIENTS} recipients, this one has ${named.length}.`)
  if (new Set(keys).size !== keys.length) throw new ApiError('ERR_DUPLICATE_RECIPIENT')
  return keys
}

function parseBody (body: unknown): SentBody {
  if (typeof body === 'string') {
    if (body.trim() === '') throw new ApiError('ERR_INVALID_MESSAGE_BODY')
    if (!isWellFormed(body)) throw new ApiError('ERR_INVALID_MESSAGE_BODY', '"body" holds half of a surrogate pair, which no UTF-8 text can hold.')
    return { body, isText: true }
  }
  const fields = asFields(body)
  if (fields === undefined) throw new ApiError('ERR_INVALID_MESSAGE_BODY')
  return { body: toJson(fields), isText: false }
}
