/** Messages to send and rooms, as HTTP and the socket carry them. */
import { ApiError } from './errors'
import type { SentBody } from './listedBody'
import {
  MAX_LIVE_BODY_BYTES,
  MAX_RECIPIENTS,
  MAX_ROOM_LENGTH,
  splitRoom,
  type IdentityKey,
  type OutgoingMessage,
  type Room,
} from './protocol'
import {
  boxName,
  field,
  messageId,
  object,
  publicKey,
  refine,
  take,
  type JsonSchema,
  type Schema,
} from './schema'
import { asFields, isName, isWellFormed, toIdentityKey, toJson, toList } from './primitives'

const sentBody: Schema<SentBody> = {
  read: readBody,
  json: {
    anyOf: [{ type: 'string', pattern: '\\S' }, { type: 'object' }],
    description:
      'A string that is not blank and has no unpaired surrogate, or an object. ' +
      'Clients encrypt it to the recipient.',
  },
}
const recipients = oneOrMany(
  publicKey,
  `The recipient, or up to ${MAX_RECIPIENTS} of them. ` +
    'Either all of them get the message, or none.',
)
/** One or several values; undefined if there is none. */
const several = (value: unknown): unknown[] | undefined => {
  const values = toList(value)
  return values.length === 0 ? undefined : values
}

const messageFields = object(
  {
    messageBox: field(boxName, 'ERR_INVALID_MESSAGEBOX'),
    body: field(sentBody, 'ERR_INVALID_MESSAGE_BODY'),
    recipients: field({ read: several, json: recipients }, 'ERR_RECIPIENT_REQUIRED', {
      from: (fields) => fields.recipients ?? fields.recipient,
      undescribed: true,
    }),
    messageId: field(
      {
        read: (value) => (value === '' ? [''] : several(value)),
        json: oneOrMany(
          messageId,
          "The message's id, or one id for each recipient, in their order. " +
            'An id is unique among all messages of one recipient.',
        ),
      },
      'ERR_MESSAGEID_REQUIRED',
    ),
  },
  {
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
            description: 'Another name of "recipient". It wins over "recipient".',
          },
        },
      },
    ],
  },
)
/** A message to send, without its payment. */
export const MESSAGE = refine(
  messageFields,
  ({ messageBox, body, recipients: named, messageId: ids }): OutgoingMessage => {
    if (ids.length !== named.length) {
      throw new ApiError(
        'ERR_MESSAGEID_COUNT_MISMATCH',
        `There are ${named.length} recipients and ${ids.length} message ids: ` +
          'give one id for each recipient.',
      )
    }
    const messageIds = ids.map((id) => take(messageId, id, 'ERR_INVALID_MESSAGEID'))
    return { recipients: parseRecipients(named), messageIds, messageBox, ...body }
  },
)

/** The data of the socket's `sendMessage`: one message, whose recipient is the room's owner. */
export function parseLiveSend(data: unknown): OutgoingMessage {
  const fields = asFields(data)
  const { recipient, messageBox } = parseRoom(fields?.roomId)
  const message = asFields(fields?.message)
  if (message === undefined) throw new ApiError('ERR_MESSAGE_REQUIRED')
  const payment = asFields(fields?.payment) ?? asFields(message.payment)
  const parsed = MESSAGE.parse({
    messageBox,
    body: message.body,
    recipient: message.recipient,
    messageId: message.messageId,
  })
  if (parsed.recipients.length !== 1 || parsed.recipients[0] !== recipient) {
    throw new ApiError(
      'ERR_INVALID_ROOM',
      'The room belongs to another identity than the recipient of the message.',
    )
  }
  if (Buffer.byteLength(parsed.body) > MAX_LIVE_BODY_BYTES) {
    throw new ApiError(
      'ERR_BODY_TOO_LARGE',
      `A live message holds up to ${MAX_LIVE_BODY_BYTES} bytes: send it over HTTP.`,
      { limit: MAX_LIVE_BODY_BYTES },
    )
  }
  return payment === undefined ? parsed : { ...parsed, payment }
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

function parseRecipients(named: unknown[]): IdentityKey[] {
  // At most one key over the limit is checked: checking a key is costly.
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
        '"body" has an unpaired surrogate, which UTF-8 cannot encode.',
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
