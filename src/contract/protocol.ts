/** Names, shapes and limits on the wire, for HTTP and the socket. */

import type { JsonPage } from './jsonPage'

/** A compressed secp256k1 public key as 66 lower-case hex characters. */
export type IdentityKey = string

/** An authenticated identity, and the address of its request or socket. */
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

/** The topic and the lookup service of the overlay network. */
export const OVERLAY_TOPIC = 'tm_messagebox'
export const LOOKUP_SERVICE = 'ls_messagebox'

/** How many rooms a socket may join, and the length of their names, which each event carries. */
export const MAX_ROOMS = 1000
export const MAX_ROOM_NAMES_BYTES = 8 * 1024
/** How many packets a poll may have before an identity is proven, and after. */
export const UNPROVEN_POLL_PACKETS = 32
export const PROVEN_POLL_PACKETS = 256

/** The handshake of BRC-103. It ignores the routing prefix. */
export const HANDSHAKE_PATH = '/.well-known/auth'

/** A valid message to send: `messageIds[i]` belongs to `recipients[i]`. */
export interface OutgoingMessage {
  recipients: IdentityKey[]
  messageIds: string[]
  messageBox: string
  /** The sender's `body`: a string as it is, an object as JSON. */
  body: string
  isText: boolean
  /** The `payment` beside the message. */
  payment?: Record<string, unknown>
}

/** A message that was just stored, as listeners receive it. */
export interface PublishedMessage {
  messageId: string
  messageBox: string
  sender: IdentityKey
  recipient: IdentityKey
  body: string
  /** When it was stored, in milliseconds since 1970. */
  createdAt: number
}

/** The result of a send for one recipient. */
export interface SendResult {
  recipient: IdentityKey
  messageId: string
  /** The message was stored before. */
  duplicate?: true
}

export interface ListRequest extends Page {
  messageBox: string
  /** The id of the only message to list; if undefined, the whole box. */
  messageId?: string
  /** The `nextCursor` of another page: lists what follows it. */
  after?: string
}

export interface MessagePage {
  json: JsonPage
  limit: number
  offset: number
  hasMore: boolean
  /** The offset of the next page, null if there is none. */
  nextOffset: number | null
  /** Names the place after the page, null if it is the last one. */
  nextCursor: string | null
}

/** The most rules of a page, and how many a page has by default. */
export const MAX_PAGE_PERMISSIONS = 1000
export const USUAL_PERMISSIONS = 100

/** A part of a list. */
export interface Page {
  limit: number
  offset: number
}

export const MAX_PAGE_DEVICES = 1000

export interface ListPermissionsRequest extends Page {
  /** If undefined, all boxes. */
  messageBox: string | undefined
}

/** The path of Socket.IO. It ignores the routing prefix. */
export const SOCKET_PATH = '/socket.io/'

/** The only raw event of the socket, in both directions. It carries BRC-103 messages. */
export const AUTH_MESSAGE = 'authMessage'

/** Prefixes of events before the room's name: the reply to a send, and a new message. */
export const ackEvent = (roomId: string): string => `sendMessageAck-${roomId}`
export const messageEvent = (roomId: string): string => `sendMessage-${roomId}`

/** The largest body of a live message, in bytes. Larger ones go over HTTP. */
export const MAX_LIVE_BODY_BYTES = 1024 * 1024

/**
 * The largest live event, encoded. Newer clients disconnect for good on a larger one. A larger
 * message waits in its box.
 */
export const MAX_EVENT_BYTES = 1024 * 1024
/** In UTF-16 units: a key, a hyphen, the longest box name, and some blanks around it. */
export const MAX_ROOM_LENGTH = 1024

/** A box as the socket names it. */
export interface Room {
  recipient: IdentityKey
  messageBox: string
}

export function formatRoom({ recipient, messageBox }: Room): string {
  return `${recipient}-${messageBox}`
}

/** Splits a room's name at its first hyphen, unchecked. Undefined if there is no hyphen. */
export function splitRoom(roomId: string): Room | undefined {
  const hyphen = roomId.indexOf('-')
  return hyphen < 0
    ? undefined
    : { recipient: roomId.slice(0, hyphen), messageBox: roomId.slice(hyphen + 1) }
}

/** The event that a listener receives. */
export interface LiveMessage {
  sender: IdentityKey
  messageId: string
  body: string
  messageBox: string
  recipient: IdentityKey
  created_at: string
  updated_at: string
}

/** A device to register for push messages. */
export interface DeviceRegistration {
  fcmToken: string
  deviceId: string | null
  platform: string | null
}
