/** From `unknown` to typed: each function returns a valid value or throws an `ApiError`, in the contract's order. */
import { publicKeyConvert } from 'secp256k1'
import { ApiError, type ErrorCode } from './errors'
import {
  MAX_ACKNOWLEDGED_IDS, MAX_LIVE_BODY, MAX_NAME_LENGTH, MAX_PAGE_MESSAGES, MAX_RECIPIENTS, MAX_ROOM_LENGTH, splitRoom,
  type IdentityKey, type ListRequest, type OutgoingMessage, type Room
} from './protocol'

type Fields = Record<string, unknown>

/** The body of POST /sendMessage; unknown keys are ignored, `recipients` wins over `recipient`. */
export function parseSendRequest (request: unknown): OutgoingMessage {
  const fields = asFields(request)
  const message = asFields(fields?.message)
  if (message === undefined) throw new ApiError('ERR_MESSAGE_REQUIRED')
  return parseMessage(message, asFields(fields?.payment))
}

/** A message that is to be sent, whichever way it came; a payment that came with it is passed on to the recipient. */
export function parseMessage (message: Fields, payment?: Fields): OutgoingMessage {
  const messageBox = parseBoxName(message.messageBox)
  const { body, listedBody } = parseBody(message.body, payment)
  const named = toList(message.recipients ?? message.recipient)
  if (named.length === 0) throw new ApiError('ERR_RECIPIENT_REQUIRED')
  const ids = message.messageId === '' ? [''] : toList(message.messageId)
  if (ids.length === 0) throw new ApiError('ERR_MESSAGEID_REQUIRED')
  if (ids.length !== named.length) {
    throw new ApiError('ERR_MESSAGEID_COUNT_MISMATCH', `There are ${named.length} recipients and ${ids.length} message ids: give one id for each recipient.`)
  }
  const messageIds = ids.map(id => parseName(id, 'ERR_INVALID_MESSAGEID'))
  return { recipients: parseRecipients(named), messageIds, messageBox, body, listedBody }
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
  const parsed = parseMessage({ messageBox, body: message.body, recipient: message.recipient, messageId: message.messageId })
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

/**
 * An identity key in its canonical form: compressed, lower-case hex; undefined where the value is no public
 * key on the curve. Upper case and the uncompressed form are understood.
 */
export function toIdentityKey (value: unknown): IdentityKey | undefined {
  if (typeof value !== 'string' || !KEY_PATTERN.test(value)) return undefined
  try {
    return Buffer.from(publicKeyConvert(Buffer.from(value, 'hex'), true)).toString('hex')
  } catch {
    return undefined
  }
}

const KEY_PATTERN = /^(0[23][0-9a-f]{64}|04[0-9a-f]{128})$/i

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

function parseBody (body: unknown, payment: Fields | undefined): { body: string, listedBody: string } {
  if (typeof body === 'string') {
    if (body.trim() === '') throw new ApiError('ERR_INVALID_MESSAGE_BODY')
    if (!isWellFormed(body)) throw new ApiError('ERR_INVALID_MESSAGE_BODY', '"body" holds half of a surrogate pair, which no UTF-8 text can hold.')
    return { body, listedBody: payment !== undefined || looksWrapped(body) ? wrap(JSON.stringify(body), payment) : body }
  }
  const fields = asFields(body)
  if (fields === undefined) throw new ApiError('ERR_INVALID_MESSAGE_BODY')
  const json = toJson(fields)
  return { body: json, listedBody: payment !== undefined || Object.hasOwn(fields, 'message') ? wrap(json, payment) : json }
}

/** The wrapper in which the released client looks for a payment; `body` is JSON. */
function wrap (body: string, payment: Fields | undefined): string {
  return payment === undefined ? `{"message":${body}}` : `{"message":${body},"payment":${toJson(payment)}}`
}

/**
 * Whether the released client would take this text for the wrapper `{"message":…,"payment":…}` in which a
 * body that came with a payment is listed. Such a body is listed wrapped, so that it comes out as it went in.
 */
function looksWrapped (body: string): boolean {
  if (!/^[ \t\r\n]*\{/.test(body) || !(body.includes('"message"') || body.includes('\\u'))) return false
  try {
    return Object.hasOwn(JSON.parse(body) as object, 'message')
  } catch {
    return false
  }
}

function toJson (fields: Fields): string {
  try {
    return JSON.stringify(fields)
  } catch {
    throw new ApiError('ERR_INVALID_MESSAGE_BODY', 'What is sent is nested too deeply.')
  }
}

function parseName (value: unknown, code: ErrorCode): string {
  if (!isName(value)) throw new ApiError(code)
  return value
}

/** Whether a value can be the name of a box, or a message's id. */
export function isName (value: unknown): value is string {
  if (typeof value !== 'string' || value.trim() === '' || !isWellFormed(value)) return false
  return value.length <= MAX_NAME_LENGTH || (value.length <= 2 * MAX_NAME_LENGTH && [...value].length <= MAX_NAME_LENGTH)
}

/** Whether a text can be written in UTF-8 without loss: it holds no half of a surrogate pair. */
function isWellFormed (text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

function toList (value: unknown): unknown[] {
  if (value === undefined || value === null || value === '') return []
  return Array.isArray(value) ? value : [value]
}

function asFields (value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value) ? value as Fields : undefined
}

function isInteger (value: unknown): value is number {
  return Number.isSafeInteger(value)
}
