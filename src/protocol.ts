/** Names, shapes and bounds on the wire, for HTTP and for the socket. */

/** A compressed secp256k1 public key as 66 lower-case hex characters. */
export type IdentityKey = string

export const MAX_RECIPIENTS = 100
/** Of the name of a box and of a message id, in characters (Unicode code points). */
export const MAX_NAME_LENGTH = 255
export const MAX_PAGE_MESSAGES = 1000
export const MAX_ACKNOWLEDGED_IDS = 1000

/** BRC-103's handshake; always at the root, whatever the routing prefix. */
export const HANDSHAKE_PATH = '/.well-known/auth'

/** A message as it was asked to be sent, validated: `messageIds[i]` belongs to `recipients[i]`. */
export interface OutgoingMessage {
  recipients: IdentityKey[]
  messageIds: string[]
  messageBox: string
  /** What the sender put into `body`: a string as it is, an object as its JSON. */
  body: string
  /** `body` as it is stored and listed; see `toListedBody`. */
  listedBody: string
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

export interface ListRequest {
  messageBox: string
  limit: number
  offset: number
}

export interface MessagePage {
  messages: ListedMessage[]
  limit: number
  offset: number
  hasMore: boolean
  /** The offset of the next page, null where there is none. */
  nextOffset: number | null
}
