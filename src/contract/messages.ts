/** From `unknown` to typed: each function returns a valid value or throws an `ApiError`, in the contract's order. */
import { ApiError } from './errors'
import type { SentBody } from './listedBody'
import {
  MAX_ACKNOWLEDGED_IDS,
  MAX_LIVE_BODY,
  MAX_PAGE_MESSAGES,
  MAX_RECIPIENTS,
  MAX_ROOM_LENGTH,
  splitRoom,
  type IdentityKey,
  type ListRequest,
  type OutgoingMessage,
  type Room,
} from './protocol'
import {
  boxName,
  describe,
  fieldsOf,
  messageId,
  publicKey,
  take,
  wholeNumber,
  type JsonSchema,
  type Schema,
} from './schema'
import {
  asFields,
  isName,
  isWellFormed,
  toIdentityKey,
  toJson,
  toList,
  type Fields,
} from './primitives'

const sentBody: Schema<SentBody> = {
  read: readBody,
  json: {
    anyOf: [{ type: 'string', pattern: '\\S' }, { type: 'object' }],
    description:
      'A text that is not blank and holds no half of a surrogate pair, or an object. Clients encrypt it to the recipient.',
  },
}
const recipients = oneOrMany(
  publicKey,
  `The recipient, or up to ${MAX_RECIPIENTS} of them. All of them get the message, or none does.`,
)
const messageFields = {
  messageBox: boxName,
  messageId: {
    json: oneOrMany(
      messageId,
      "The message's id, or one id for each recipient, in their order. An id is unique among all messages of one recipient.",
    ),
  },
  body: sentBody,
}
/** A message to send. */
export const MESSAGE = fieldsOf(messageFields, ['messageBox', 'messageId', 'body'], {
  anyOf: [
    {
      title: 'with "recipient"',
      required: ['recipient'],
      properties: { recipient: recipients, recipients: { type: 'null' } },
    },
    {
      title: 'with "recipients", which wins over "recipient"',
      required: ['recipients'],
      properties: {
        recipients: {
          ...recipients,
          description: 'The same by another name. It wins over "recipient".',
        },
      },
    },
  ],
})

const listFields = {
  messageBox: boxName,
  messageId: describe(
    messageId,
    'The one message that is wanted. If it is not in the box, the page is empty.',
  ),
  limit: describe(
    wholeNumber(1, MAX_PAGE_MESSAGES),
    'How many messages at most. A page ends sooner where its bodies grow large.',
    { default: MAX_PAGE_MESSAGES },
  ),
  offset: describe(wholeNumber(0), 'How many messages to pass over.', { default: 0 }),
}
export const LIST_REQUEST = fieldsOf(listFields, ['messageBox'], {
  anyOf: [
    { required: ['offset'] },
    {
      properties: {
        skip: {
          anyOf: [listFields.offset.json, { type: 'null' }],
          description: 'Another name of "offset", heeded where that is left out.',
        },
      },
    },
  ],
})

const acknowledged: Schema<string[]> = {
  read: (ids) =>
    Array.isArray(ids) &&
    ids.length <= MAX_ACKNOWLEDGED_IDS &&
    ids.every((id) => typeof id === 'string')
      ? ids
      : undefined,
  json: {
    type: 'array',
    items: { type: 'string' },
    minItems: 1,
    maxItems: MAX_ACKNOWLEDGED_IDS,
    description: 'Ids of messages of the caller. Those of no message are passed over.',
  },
}
export const ACKNOWLEDGE_REQUEST = fieldsOf({ messageIds: acknowledged }, ['messageIds'])

/** The body of POST /sendMessage; unknown keys are ignored, `recipients` wins over `recipient`. */
export function parseSendRequest(request: unknown): OutgoingMessage {
  const fields = asFields(request)
  const message = asFields(fields?.message)
  if (message === undefined) throw new ApiError('ERR_MESSAGE_REQUIRED')
  return parseMessage(message, asFields(fields?.payment))
}

/** A message that is to be sent, whichever way it came, with the payment that came beside it. */
function parseMessage(message: Fields, payment?: Fields): OutgoingMessage {
  const messageBox = parseBoxName(message.messageBox)
  const sent = take(sentBody, message.body, 'ERR_INVALID_MESSAGE_BODY')
  const named = toList(message.recipients ?? message.recipient)
  if (named.length === 0) throw new ApiError('ERR_RECIPIENT_REQUIRED')
  const ids = message.messageId === '' ? [''] : toList(message.messageId)
  if (ids.length === 0) throw new ApiError('ERR_MESSAGEID_REQUIRED')
  if (ids.length !== named.length) {
    throw new ApiError(
      'ERR_MESSAGEID_COUNT_MISMATCH',
      `There are ${named.length} recipients and ${ids.length} message ids: give one id for each recipient.`,
    )
  }
  const messageIds = ids.map((id) => take(messageId, id, 'ERR_INVALID_MESSAGEID'))
  return {
    recipients: parseRecipients(named),
    messageIds,
    messageBox,
    ...sent,
    ...(payment !== undefined && { payment }),
  }
}

/** The body of POST /listMessages; `skip` is another name of `offset`. */
export function parseListRequest(request: unknown): ListRequest {
  const fields = asFields(request) ?? {}
  if (fields.messageBox === undefined || fields.messageBox === null || fields.messageBox === '')
    throw new ApiError('ERR_MESSAGEBOX_REQUIRED')
  const { limit = MAX_PAGE_MESSAGES, offset = fields.skip ?? 0 } = fields
  return {
    messageBox: parseBoxName(fields.messageBox),
    limit: take(listFields.limit, limit, 'ERR_INVALID_LIMIT'),
    offset: take(listFields.offset, offset, 'ERR_INVALID_OFFSET'),
    ...(fields.messageId !== undefined && {
      messageId: take(messageId, fields.messageId, 'ERR_INVALID_MESSAGE_ID'),
    }),
  }
}

/** The body of POST /acknowledgeMessage: the distinct ids that could name a message. */
export function parseAcknowledgeRequest(request: unknown): string[] {
  const ids = asFields(request)?.messageIds
  if (ids === undefined || ids === null || (Array.isArray(ids) && ids.length === 0))
    throw new ApiError('ERR_MESSAGE_ID_REQUIRED')
  return [...new Set(take(acknowledged, ids, 'ERR_INVALID_MESSAGE_ID'))].filter(isName)
}

/** The data of the socket's `sendMessage`: one message, whose recipient is the room's owner. */
export function parseLiveSend(data: unknown): OutgoingMessage {
  const fields = asFields(data)
  const { recipient, messageBox } = parseRoom(fields?.roomId)
  const message = asFields(fields?.message)
  if (message === undefined) throw new ApiError('ERR_MESSAGE_REQUIRED')
  const payment = asFields(fields?.payment) ?? asFields(message.payment)
  const parsed = parseMessage(
    { messageBox, body: message.body, recipient: message.recipient, messageId: message.messageId },
    payment,
  )
  if (parsed.recipients.length !== 1 || parsed.recipients[0] !== recipient) {
    throw new ApiError(
      'ERR_INVALID_ROOM',
      'The room belongs to another identity than the recipient of the message.',
    )
  }
  if (Buffer.byteLength(parsed.body) > MAX_LIVE_BODY) {
    throw new ApiError(
      'ERR_BODY_TOO_LARGE',
      `A live message holds up to ${MAX_LIVE_BODY} bytes: send it over HTTP.`,
      { limit: MAX_LIVE_BODY },
    )
  }
  return parsed
}

/** A room's name: an identity key, a hyphen, the name of a box, further hyphens included. */
export function parseRoom(value: unknown): Room {
  const room =
    typeof value === 'string' && value.length <= MAX_ROOM_LENGTH ? splitRoom(value) : undefined
  const recipient = toIdentityKey(room?.recipient)
  const messageBox = room?.messageBox.trim()
  if (recipient === undefined || !isName(messageBox)) throw new ApiError('ERR_INVALID_ROOM')
  return { recipient, messageBox }
}

/** The name of a box, trimmed. */
export function parseBoxName(value: unknown): string {
  return take(boxName, value, 'ERR_INVALID_MESSAGEBOX')
}

function parseRecipients(named: unknown[]): IdentityKey[] {
  // Curve arithmetic for more keys than a message may have would only serve whoever sends them.
  const keys = named.slice(0, MAX_RECIPIENTS + 1).map((value, index) => {
    const key = toIdentityKey(value)
    if (key === undefined)
      throw new ApiError(
        'ERR_INVALID_RECIPIENT_KEY',
        `Recipient ${index} is no identity key: a secp256k1 public key in hex.`,
      )
    return key
  })
  if (named.length > MAX_RECIPIENTS)
    throw new ApiError(
      'ERR_TOO_MANY_RECIPIENTS',
      `A message may have up to ${MAX_RECIPIENTS} recipients, this one has ${named.length}.`,
    )
  if (new Set(keys).size !== keys.length) throw new ApiError('ERR_DUPLICATE_RECIPIENT')
  return keys
}

function readBody(body: unknown): SentBody | undefined {
  if (typeof body === 'string') {
    if (body.trim() === '') return undefined
    if (!isWellFormed(body))
      throw new ApiError(
        'ERR_INVALID_MESSAGE_BODY',
        '"body" holds half of a surrogate pair, which no UTF-8 text can hold.',
      )
    return { body, isText: true }
  }
  const fields = asFields(body)
  return fields === undefined ? undefined : { body: toJson(fields), isText: false }
}

function oneOrMany({ json }: Schema<string>, description: string): JsonSchema {
  return {
    anyOf: [
      json,
      {
        type: 'array',
        items: json,
        minItems: 1,
        maxItems: MAX_RECIPIENTS,
        uniqueItems: json === publicKey.json,
      },
    ],
    description,
  }
}
