/** Names, shapes and bounds on the wire, for HTTP and for the socket. */

import type { JsonPage } from '../lib/jsonPage'

/** A compressed secp256k1 public key as 66 lower-case hex characters. */
export type IdentityKey = string

/** An identity that has proven itself, and the address that its request or socket comes from. */
export interface Caller {
  identityKey: IdentityKey
  address: string
}

export const MAX_RECIPIENTS = 100
/** Of the name of a box and of a message id, in characters (Unicode code points). */
export const MAX_NAME_LENGTH = 255
export const MAX_PAGE_MESSAGES = 1000
export const MAX_ACKNOWLEDGED_IDS = 1000

/** How long a request may take to arrive, and how long a connection may pause within one. */
export const REQUEST_TIMEOUT_MS = 120_000
/** The maximum of objects, arrays and keys together, and of commas outside of strings. */
export const MAX_JSON_PARTS = 256 * 1024
export const MAX_JSON_VALUES = 2 * 1024 * 1024

/** The largest signed 32-bit integer: clients and databases store fees as such. */
export const MAX_FEE_SATOSHIS = 2 ** 31 - 1

/** Of the token that Firebase gives a device, and of a device id, in UTF-16 units. */
export const MAX_TOKEN_LENGTH = 4096
export const MAX_DEVICE_ID_LENGTH = 255

/** How many advertisements one transaction may have. The server checks a signature for each. */
export const MAX_ADVERTISED = 5
/**
 * How many hosts an identity may be advertised at, and how many unspent advertisements one of these
 * hosts may have. An attacker can repeat an identity's signed advertisement in another transaction,
 * but cannot sign another host: so the limit of hosts cannot be used up by others.
 */
export const MAX_HOSTS = 20
export const MAX_OF_HOST = 5

/** How many rooms a socket may join, and the length of their names, which each event carries. */
export const MAX_ROOMS = 1000
export const MAX_ROOM_NAMES_BYTES = 8 * 1024
/** How many packets a poll may have before an identity is proven, and after. */
export const UNPROVEN_POLL_PACKETS = 32
export const PROVEN_POLL_PACKETS = 256

/** BRC-103's handshake; always at the root, whatever the routing prefix. */
export const HANDSHAKE_PATH = '/.well-known/auth'

/** A message as it was asked to be sent, validated: `messageIds[i]` belongs to `recipients[i]`. */
export interface OutgoingMessage {
  recipients: IdentityKey[]
  messageIds: string[]
  messageBox: string
  /** What the sender put into `body`: a text as it is, an object as its JSON. */
  body: string
  isText: boolean
  /** What came beside the message in `payment`. */
  payment?: Record<string, unknown>
}

/** A message that has just been stored, as listeners are told of it. */
export interface PublishedMessage {
  messageId: string
  messageBox: string
  sender: IdentityKey
  recipient: IdentityKey
  body: string
  /** When it was stored, in milliseconds since 1970. */
  createdAt: number
}

/** What became of a message for one recipient. */
export interface SendResult {
  recipient: IdentityKey
  messageId: string
  /** This very message was there already; nothing was stored twice. */
  duplicate?: true
}

/** One message of a page of /listMessages; times are ISO 8601 in UTC. */
export interface ListedMessage {
  messageId: string
  body: string
  sender: IdentityKey
  created_at: string
  updated_at: string
  createdAt: string
  updatedAt: string
}

export interface ListRequest extends Page {
  messageBox: string
  /** The one message that is wanted; all of the box if it is left out. */
  messageId?: string
}

export interface MessagePage {
  messages: ListedMessage[]
  /** The messages, encoded. */
  json: JsonPage
  limit: number
  offset: number
  hasMore: boolean
  /** The offset of the next page, null where there is none. */
  nextOffset: number | null
}

/** The rules of one page, and how many there are where no limit is named. */
export const MAX_PAGE_PERMISSIONS = 1000
export const USUAL_PERMISSIONS = 100

/** Which part of a list is wanted. */
export interface Page {
  limit: number
  offset: number
}

export const MAX_PAGE_DEVICES = 1000

export interface ListPermissionsRequest extends Page {
  /** All boxes where undefined. */
  messageBox: string | undefined
}

/** Where Socket.IO answers; always at the root, whatever the routing prefix. */
export const SOCKET_PATH = '/socket.io/'

/** The one raw event of the socket, each way; it carries BRC-103 messages. */
export const AUTH_MESSAGE = 'authMessage'

/** Events that carry the room's name behind them: the acknowledgement of a send, and a message that arrived. */
export const ackEvent = (roomId: string): string => `sendMessageAck-${roomId}`
export const messageEvent = (roomId: string): string => `sendMessage-${roomId}`

/** Largest body of a live message, in bytes; larger ones go over HTTP. */
export const MAX_LIVE_BODY = 1024 * 1024

/** Largest event that is sent live, encoded, in bytes: newer clients disconnect for good on a larger one. A larger message waits in its box. */
export const MAX_EVENT_BYTES = 1024 * 1024
/** Of a room's name, in UTF-16 units: a key, a hyphen, the longest name of a box, and some blanks around it. */
export const MAX_ROOM_LENGTH = 1024

/** A box as the socket names it. */
export interface Room {
  recipient: IdentityKey
  messageBox: string
}

export function formatRoom({ recipient, messageBox }: Room): string {
  return `${recipient}-${messageBox}`
}

/** Splits a room's name at its first hyphen; neither part is checked. Undefined where there is no hyphen. */
export function splitRoom(roomId: string): Room | undefined {
  const hyphen = roomId.indexOf('-')
  return hyphen < 0
    ? undefined
    : { recipient: roomId.slice(0, hyphen), messageBox: roomId.slice(hyphen + 1) }
}

/** What a listener hears. */
export interface LiveMessage {
  sender: IdentityKey
  messageId: string
  body: string
  messageBox: string
  recipient: IdentityKey
  created_at: string
  updated_at: string
}

/** A device as it is registered, for push messages. */
export interface DeviceRegistration {
  fcmToken: string
  deviceId: string | null
  platform: string | null
}
