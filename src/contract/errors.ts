import { maxHeaderSize } from 'node:http'
import { formatBytes, formatNumber } from '../lib/format'
import {
  MAX_ACKNOWLEDGED_IDS,
  MAX_ADVERTISED,
  MAX_DEVICE_ID_LENGTH,
  MAX_FEE_SATOSHIS,
  MAX_HOSTS,
  MAX_JSON_PARTS,
  MAX_JSON_VALUES,
  MAX_NAME_LENGTH,
  MAX_OF_HOST,
  MAX_PAGE_MESSAGES,
  MAX_RECIPIENTS,
  MAX_ROOM_NAMES_BYTES,
  MAX_ROOMS,
  MAX_TOKEN_LENGTH,
  PROVEN_POLL_PACKETS,
  REQUEST_TIMEOUT_MS,
  UNPROVEN_POLL_PACKETS,
} from './protocol'

const JSON_PARTS = formatNumber(MAX_JSON_PARTS)
const JSON_VALUES = formatNumber(MAX_JSON_VALUES)

interface ErrorType {
  status: number
  /** What the client is told, unless an error has a text of its own. */
  text: string
  /** When the server answers with it, for docs/errors.md. */
  when: string
}

/** Every error that a client can get, in the order of docs/errors.md. */
export const ERRORS = {
  UNAUTHORIZED: {
    status: 401,
    text: 'Prove your identity first (BRC-103, BRC-104): POST /.well-known/auth starts a session.',
    when: 'the session is missing or expired, the signature is invalid, or the request is a replay',
  },
  ERR_INVALID_AUTH_MESSAGE: {
    status: 400,
    text: 'The body is not a BRC-103 handshake message.',
    when: 'the handshake message is malformed',
  },
  ERR_CERTIFICATES_NOT_SUPPORTED: {
    status: 400,
    text: 'This server neither requests certificates nor issues any.',
    when: 'a certificate message arrives instead of a handshake',
  },
  ERR_INVALID_JSON: {
    status: 400,
    text: 'The body is not valid JSON in UTF-8.',
    when: 'the body is not valid JSON in UTF-8',
  },
  ERR_BODY_TOO_LARGE: {
    status: 413,
    text: 'The body is larger than this server accepts.',
    when:
      'the body exceeds `MAX_BODY_SIZE`, ' +
      'or the message is too large to store or to send live; `limit` is in bytes',
  },
  ERR_BODY_IN_PIECES: {
    status: 400,
    text: 'The body arrives in too many small chunks: send larger chunks.',
    when: 'the body arrives in too many small chunks',
  },
  ERR_UNSUPPORTED_ENCODING: {
    status: 415,
    text: 'This server does not accept compressed bodies: send the body uncompressed.',
    when: 'the body is compressed',
  },
  ERR_JSON_TOO_COMPLEX: {
    status: 400,
    text: `The JSON may have ${JSON_PARTS} objects, arrays and keys, and ${JSON_VALUES} values.`,
    when: `the JSON has more than ${JSON_PARTS} objects, arrays and keys, or ${JSON_VALUES} values`,
  },
  ERR_HEADERS_TOO_LARGE: {
    status: 431,
    text: `The headers of a request may have up to ${formatBytes(maxHeaderSize)}.`,
    when: `the headers have more than ${formatBytes(maxHeaderSize)}`,
  },
  ERR_REQUEST_TIMEOUT: {
    status: 408,
    text: 'The request took too long to arrive.',
    when: `the request takes longer than ${REQUEST_TIMEOUT_MS / 1000} seconds to arrive`,
  },
  ERR_BAD_REQUEST: {
    status: 400,
    text: 'The server does not understand this HTTP request.',
    when: 'the request is not valid HTTP',
  },
  ERR_NOT_FOUND: {
    status: 404,
    text: 'This path does not exist.',
    when: 'the path does not exist',
  },
  ERR_METHOD_NOT_ALLOWED: {
    status: 405,
    text: 'This path does not support this method.',
    when: 'the path supports other methods only',
  },
  ERR_MESSAGE_REQUIRED: {
    status: 400,
    text: 'Put the message into "message", as an object.',
    when: '`message` is missing or not an object',
  },
  ERR_INVALID_MESSAGEBOX: {
    status: 400,
    text: `"messageBox" must be a string of 1 to ${MAX_NAME_LENGTH} characters that is not blank.`,
    when: 'the name of the message box is not a string, blank or too long',
  },
  ERR_INVALID_MESSAGE_BODY: {
    status: 400,
    text: '"body" must be a string that is not blank, or an object.',
    when: '`body` is neither an object nor a string that is not blank',
  },
  ERR_RECIPIENT_REQUIRED: {
    status: 400,
    text: 'Name the recipient in "recipient", or several in "recipients".',
    when: 'the message has no recipient',
  },
  ERR_MESSAGEID_REQUIRED: {
    status: 400,
    text: 'Give the message an id in "messageId", or one id for each recipient.',
    when: '`messageId` is missing',
  },
  ERR_MESSAGEID_COUNT_MISMATCH: {
    status: 400,
    text: 'Give exactly one "messageId" for each recipient.',
    when: 'there are more or fewer message ids than recipients',
  },
  ERR_INVALID_MESSAGEID: {
    status: 400,
    text: `A "messageId" must be a string of 1 to ${MAX_NAME_LENGTH} characters that is not blank.`,
    when: 'a message id is not a string, blank or too long',
  },
  ERR_INVALID_RECIPIENT_KEY: {
    status: 400,
    text: 'Each recipient must be an identity key: a secp256k1 public key in hex.',
    when: 'a recipient is not an identity key',
  },
  ERR_TOO_MANY_RECIPIENTS: {
    status: 400,
    text: `A message may have up to ${MAX_RECIPIENTS} recipients.`,
    when: `there are more than ${MAX_RECIPIENTS} recipients`,
  },
  ERR_DUPLICATE_RECIPIENT: {
    status: 400,
    text: 'Name each recipient only once.',
    when: 'a recipient is named twice',
  },
  ERR_DELIVERY_BLOCKED: {
    status: 403,
    text: 'A recipient does not accept messages from you in this box.',
    when: 'a recipient blocks the sender; `blockedRecipients` lists them',
  },
  ERR_MISSING_PAYMENT_TX: {
    status: 400,
    text: 'This message has a price: put the payment into "payment", its transaction into "tx".',
    when: 'the message has a price, and the payment is missing',
  },
  ERR_MISSING_DELIVERY_OUTPUT: {
    status: 400,
    text: "The server charges for this message: the payment's first output must pay it.",
    when: 'the payment has no output for the server',
  },
  ERR_INSUFFICIENT_OUTPUTS: {
    status: 400,
    text: 'The payment needs an output for each recipient who charges for this message.',
    when: 'the payment has fewer outputs than recipients who charge',
  },
  ERR_MISSING_RECIPIENT_OUTPUTS: {
    status: 400,
    text: 'The payment has no output for a recipient who charges for this message.',
    when: 'the payment has no output for a recipient who charges',
  },
  ERR_INVALID_PAYMENT: {
    status: 400,
    text: 'The payment is not a valid transaction in AtomicBEEF.',
    when: 'the transaction is malformed, invalid or too large; `limit` is in bytes or outputs',
  },
  ERR_PAYMENT_NOT_TO_PAYEE: {
    status: 400,
    text: 'An output of the payment does not pay the identity that it is for.',
    when: 'an output is not a `wallet payment`, is named twice, or is locked to another identity',
  },
  ERR_INSUFFICIENT_PAYMENT: {
    status: 400,
    text: 'An output of the payment holds less than the price.',
    when: 'an output holds less than the price; `due` and `paid` are in satoshis',
  },
  ERR_PAYMENT_REPLAYED: {
    status: 409,
    text: 'The payment was used for another message.',
    when: 'the payment was used for another message',
  },
  ERR_PAYMENT_REJECTED: {
    status: 400,
    text: 'The network does not accept the payment.',
    when: "the network does not accept the payment's transaction",
  },
  ERR_PAYMENTS_UNAVAILABLE: {
    status: 503,
    text: 'The server cannot check payments now. It took nothing: try again later.',
    when: 'the server cannot check payments, now or at all; it took nothing',
  },
  ERR_UNKNOWN_TOPIC: {
    status: 400,
    text: 'Name the topic tm_messagebox, and no other, in the header X-Topics.',
    when: 'overlay: a topic other than `tm_messagebox`, or none',
  },
  ERR_UNKNOWN_SERVICE: {
    status: 400,
    text: 'Name the service ls_messagebox in "service": this server has no other.',
    when: 'overlay: a service other than `ls_messagebox`, or none',
  },
  ERR_INVALID_QUERY: {
    status: 400,
    text: '"query" must be an object, with "identityKey", "host", both or neither.',
    when: 'overlay: the query is not an object, or the key or host in it is not valid',
  },
  ERR_INVALID_TRANSACTION: {
    status: 400,
    text: 'The body is not a valid transaction in BEEF.',
    when: 'overlay: the body is not BEEF, or the transaction is not valid or too large to store',
  },
  ERR_INVALID_ADVERTISEMENT: {
    status: 400,
    text: 'The transaction has no output that is an advertisement, and spends none.',
    when: 'overlay: the transaction neither has nor spends an advertisement; the text says why',
  },
  ERR_ADVERTISEMENT_SPENT: {
    status: 409,
    text: 'The advertisement was spent before.',
    when: 'overlay: another transaction spent the advertisement, or one that this one spends',
  },
  ERR_TOO_MANY_ADVERTISEMENTS: {
    status: 429,
    text:
      `An identity may be advertised at up to ${MAX_HOSTS} hosts, ` +
      `and a transaction may have ${MAX_ADVERTISED} advertisements: spend some first.`,
    when:
      `overlay: more than ${MAX_HOSTS} hosts of one identity, ${MAX_ADVERTISED} advertisements ` +
      `in one transaction, or ${MAX_OF_HOST} of one host`,
  },
  ERR_PROOFS_UNAVAILABLE: {
    status: 503,
    text: 'The server cannot check proofs now. It admitted nothing: try again later.',
    when: 'overlay: the server cannot look up block headers now; it admitted nothing',
  },
  ERR_DUPLICATE_MESSAGE: {
    status: 400,
    text: 'Another message of this recipient has the messageId: choose another id.',
    when: 'another message of this recipient has the message id',
  },
  ERR_MESSAGEBOX_REQUIRED: {
    status: 400,
    text: 'Name the box in "messageBox".',
    when: '`messageBox` is missing in a list request',
  },
  ERR_INVALID_LIMIT: {
    status: 400,
    text: `"limit" must be a whole number from 1 to ${MAX_PAGE_MESSAGES}.`,
    when: '`limit` is not a whole number, or out of range',
  },
  ERR_INVALID_OFFSET: {
    status: 400,
    text: '"offset" must be a whole number, 0 or more.',
    when: '`offset` is not a whole number, or negative',
  },
  ERR_INVALID_CURSOR: {
    status: 400,
    text: '"after" must be a "nextCursor" that this server gave you. Start without it.',
    when: "`after` is no cursor of this server, or another identity's",
  },
  ERR_MESSAGE_ID_REQUIRED: {
    status: 400,
    text: 'Name the messages to acknowledge in "messageIds".',
    when: 'there is no message to acknowledge',
  },
  ERR_INVALID_MESSAGE_ID: {
    status: 400,
    text:
      `"messageId" must be a string of 1 to ${MAX_NAME_LENGTH} characters that is not blank, ` +
      `"messageIds" an array of up to ${MAX_ACKNOWLEDGED_IDS} strings.`,
    when:
      `\`messageIds\` is not an array of up to ${MAX_ACKNOWLEDGED_IDS} strings, ` +
      `or the \`messageId\` to list is not a string of 1 to ${MAX_NAME_LENGTH} characters`,
  },
  ERR_INVALID_ACKNOWLEDGMENT: {
    status: 400,
    text: 'None of these messages is in your boxes.',
    when: "none of the messages is in the caller's boxes",
  },
  ERR_INVALID_REQUEST: {
    status: 400,
    text: '"messageBox" must be a string, and "recipientFee" a number.',
    when: 'permissions: the box is missing, or the fee is not a number',
  },
  ERR_INVALID_PUBLIC_KEY: {
    status: 400,
    text: '"sender" must be an identity key: a secp256k1 public key in hex.',
    when:
      'permissions: a sender or recipient is not an identity key; ' +
      '`invalidIndexes` lists the recipients',
  },
  ERR_INVALID_FCM_TOKEN: {
    status: 400,
    text: `"fcmToken" must be a string of 1 to ${MAX_TOKEN_LENGTH} characters.`,
    when: `devices: the token is missing, or has more than ${MAX_TOKEN_LENGTH} characters`,
  },
  ERR_INVALID_PLATFORM: {
    status: 400,
    text: '"platform" must be "ios", "android" or "web".',
    when: 'devices: the platform is not `ios`, `android` or `web`',
  },
  ERR_INVALID_DEVICE_ID: {
    status: 400,
    text: `"deviceId" must be a string of up to ${MAX_DEVICE_ID_LENGTH} characters.`,
    when: `devices: the id is not a string of up to ${MAX_DEVICE_ID_LENGTH} characters`,
  },
  ERR_INVALID_FEE_VALUE: {
    status: 400,
    text:
      `"recipientFee" must be a whole number from -1 to ${MAX_FEE_SATOSHIS}: ` +
      '-1 blocks, 0 allows, more is satoshis.',
    when: `permissions: the fee is not a whole number from -1 to ${MAX_FEE_SATOSHIS}`,
  },
  ERR_INVALID_MESSAGE_BOX: {
    status: 400,
    text: `"messageBox" must have 1 to ${MAX_NAME_LENGTH} characters, and must not be blank.`,
    when: 'permissions: the name of the box is blank or too long',
  },
  ERR_MISSING_PARAMETERS: {
    status: 400,
    text: 'A parameter is missing.',
    when: 'permissions: a parameter is missing',
  },
  ERR_INVALID_ROOM: {
    status: 400,
    text: 'The name of a room is {identityKey}-{messageBox}.',
    when: 'socket: the name of the room is not `{identityKey}-{messageBox}`',
  },
  ERR_NOT_YOUR_ROOM: {
    status: 403,
    text: 'Only its owner can join a room.',
    when: 'socket: the room belongs to another identity',
  },
  ERR_TOO_MANY_ROOMS: {
    status: 400,
    text:
      `A socket may join ${MAX_ROOMS} rooms, and their names may have ` +
      `${formatBytes(MAX_ROOM_NAMES_BYTES)} together.`,
    when:
      `socket: more than ${MAX_ROOMS} rooms, ` +
      `or more than ${formatBytes(MAX_ROOM_NAMES_BYTES)} of names`,
  },
  ERR_TOO_MANY_PACKETS: {
    status: 413,
    text: 'The poll has too many packets.',
    when:
      `socket: the poll has more than ${UNPROVEN_POLL_PACKETS} packets, ` +
      `or ${PROVEN_POLL_PACKETS} after the client has proven its identity`,
  },
  ERR_RATE_LIMITED: {
    status: 429,
    text: 'Too many requests: wait for "retryAfterMs" milliseconds.',
    when:
      'the client exceeds a rate limit: `limit` requests a minute; ' +
      '`retryAfterMs` says how long to wait',
  },
  ERR_INBOX_QUOTA_EXCEEDED: {
    status: 429,
    text: "The recipient's inbox is full until the recipient acknowledges messages.",
    when: "the recipient's inbox is full; `limit` is its size in messages or bytes, as `unit` says",
  },
  ERR_SENDER_QUOTA_EXCEEDED: {
    status: 429,
    text: 'Too many of your messages wait: send again when recipients have acknowledged some.',
    when:
      "too many of the sender's messages wait; " +
      '`limit` is how many may, in messages or bytes, as `unit` says',
  },
  ERR_RULE_QUOTA_EXCEEDED: {
    status: 429,
    text: 'You have as many rules as an identity may have: change an existing rule.',
    when: 'permissions: the identity has `limit` rules, the maximum',
  },
  ERR_UNAUTHORIZED: {
    status: 401,
    text: 'The key does not match MIGRATE_KEY.',
    when: 'migrate: the key does not match `MIGRATE_KEY`',
  },
  ERR_MIGRATION_FAILED: {
    status: 500,
    text: 'The migrations failed. The log of the server says why.',
    when: 'migrate: the migrations failed; the log says why',
  },
  ERR_SERVER_BUSY: {
    status: 503,
    text: 'The server has too much to do now: try again in a few seconds.',
    when: 'the server handles too many requests, or too many large ones, at once',
  },
  ERR_STOPPING: {
    status: 503,
    text: 'This server is stopping: use another node, or try again in a few seconds.',
    when: 'the server is stopping',
  },
  ERR_SCHEMA_OUTDATED: {
    status: 503,
    text: "The database's schema is outdated: the operator must run the migrations.",
    when: 'the operator has not run the migrations',
  },
  ERR_UNAVAILABLE: {
    status: 503,
    text: 'The database does not answer. Nothing was acknowledged: try again in a few seconds.',
    when: 'the database does not answer',
  },
  ERR_INTERNAL: {
    status: 500,
    text: 'The server failed to process the request, and logged the cause.',
    when: 'the server has a fault, which it logs',
  },
} as const satisfies Record<string, ErrorType>

export type ErrorCode = keyof typeof ERRORS

const BUSY_RETRY_SECONDS = '1'

/** The body of an error response. `UNAUTHORIZED` also has `message`, which clients expect. */
export interface ErrorBody {
  status: 'error'
  code: ErrorCode
  description: string
  [detail: string]: unknown
}

/**
 * What the server logs, and does not tell the client, when an error is the server's fault. No field
 * may hold a body, a key or a signature.
 */
export interface Fault {
  /** The text of the log line. */
  what: string
  [field: string]: unknown
}

/** An error that becomes an HTTP response or a socket reply, in one place each. */
export class ApiError extends Error {
  readonly status: number
  readonly headers: Record<string, string>
  readonly fault: Fault | undefined

  /**
   * @param description replaces the text of the code
   * @param details further fields of the body
   * @param options headers for HTTP, and the fault if it is the server's
   */
  constructor(
    readonly code: ErrorCode,
    description?: string,
    readonly details: Record<string, unknown> = {},
    { headers = {}, fault }: { headers?: Record<string, string>; fault?: Fault } = {},
  ) {
    super(description ?? ERRORS[code].text)
    this.name = 'ApiError'
    this.status = ERRORS[code].status
    this.headers =
      code === 'ERR_SERVER_BUSY' ? { 'retry-after': BUSY_RETRY_SECONDS, ...headers } : headers
    this.fault = fault
  }

  /** The same error with further fields in its body. */
  with(details: Record<string, unknown>): ApiError {
    return new ApiError(
      this.code,
      this.message,
      { ...this.details, ...details },
      { headers: this.headers, ...(this.fault !== undefined && { fault: this.fault }) },
    )
  }

  /** The body of the HTTP response or of the socket's acknowledgement. */
  toBody(): ErrorBody {
    return {
      status: 'error',
      code: this.code,
      ...(this.code === 'UNAUTHORIZED' && { message: 'Mutual-authentication failed!' }),
      description: this.message,
      ...this.details,
    }
  }
}

/** Stops the start of a server or a command. Its message says what is wrong and what to do. */
export class StartError extends Error {}

export interface FaultLog {
  error: (fields: object, text: string) => void
}

/**
 * Converts a thrown value for the client, and logs it if the fault is the server's. A value that is
 * not an `ApiError` becomes `ERR_INTERNAL`.
 */
export function toApiError(error: unknown, log: FaultLog): ApiError {
  // Express throws it for a path parameter with invalid percent-encoding.
  if (error instanceof URIError) return new ApiError('ERR_BAD_REQUEST')
  if (!(error instanceof ApiError)) {
    log.error({ err: error }, 'unexpected error')
    return new ApiError('ERR_INTERNAL')
  }
  if (error.fault !== undefined) {
    const { what, ...fields } = error.fault
    log.error(fields, what)
  }
  return error
}
