import {
  MAX_ACKNOWLEDGED_IDS,
  MAX_NAME_LENGTH,
  MAX_PAGE_MESSAGES,
  MAX_RECIPIENTS,
} from './protocol'

/**
 * Every error a client can get: code, HTTP status and text. Code that finds one throws an `ApiError`,
 * which becomes an HTTP response or a socket reply in one place each.
 */
export const ERRORS = {
  UNAUTHORIZED: [
    401,
    'Prove your identity first: see BRC-103 and BRC-104. A new handshake at /.well-known/auth starts a session.',
  ],
  ERR_INVALID_AUTH_MESSAGE: [400, 'This is no BRC-103 handshake message.'],
  ERR_CERTIFICATES_NOT_SUPPORTED: [400, 'This server neither asks for certificates nor gives any.'],
  ERR_INVALID_JSON: [400, 'The body is no valid JSON in UTF-8.'],
  ERR_BODY_TOO_LARGE: [413, 'The body is larger than this server accepts.'],
  ERR_UNSUPPORTED_ENCODING: [
    415,
    'Send the body as it is: this server takes no compressed bodies.',
  ],
  ERR_BODY_IN_PIECES: [400, 'The body arrives in too many small pieces: send it in larger chunks.'],
  ERR_JSON_TOO_COMPLEX: [
    400,
    'The JSON has too many parts: up to 262,144 objects, arrays and keys, and 2,097,152 values.',
  ],
  ERR_HEADERS_TOO_LARGE: [431, 'The headers of the request are larger than this server accepts.'],
  ERR_REQUEST_TIMEOUT: [408, 'The request took too long to arrive.'],
  ERR_BAD_REQUEST: [400, 'This is no HTTP request that the server understands.'],
  ERR_NOT_FOUND: [404, 'There is nothing at this path.'],
  ERR_METHOD_NOT_ALLOWED: [405, 'This path does not answer this method.'],
  ERR_MESSAGE_REQUIRED: [400, 'Put the message into "message", as an object.'],
  ERR_INVALID_MESSAGEBOX: [
    400,
    `"messageBox" must be the name of a box: a string of 1 to ${MAX_NAME_LENGTH} characters that is not blank.`,
  ],
  ERR_INVALID_MESSAGE_BODY: [400, '"body" must be a string that is not blank, or an object.'],
  ERR_RECIPIENT_REQUIRED: [400, 'Name the recipient in "recipient", or several in "recipients".'],
  ERR_MESSAGEID_REQUIRED: [
    400,
    'Give the message an id in "messageId", or one id for each recipient.',
  ],
  ERR_MESSAGEID_COUNT_MISMATCH: [400, 'Give exactly one "messageId" for each recipient.'],
  ERR_INVALID_MESSAGEID: [
    400,
    `Each "messageId" must be a string of 1 to ${MAX_NAME_LENGTH} characters that is not blank.`,
  ],
  ERR_INVALID_RECIPIENT_KEY: [
    400,
    'Each recipient must be an identity key: a secp256k1 public key in hex.',
  ],
  ERR_TOO_MANY_RECIPIENTS: [400, `A message may have up to ${MAX_RECIPIENTS} recipients.`],
  ERR_DUPLICATE_RECIPIENT: [400, 'A recipient is named twice.'],
  ERR_DELIVERY_BLOCKED: [403, 'A recipient does not accept messages from you in this box.'],
  ERR_MISSING_PAYMENT_TX: [
    400,
    'This message costs something: put the payment into "payment", with its transaction in "tx".',
  ],
  ERR_MISSING_DELIVERY_OUTPUT: [
    400,
    "The delivery of this message costs something: the first of the payment's outputs must be the server's.",
  ],
  ERR_INSUFFICIENT_OUTPUTS: [
    400,
    'The payment has fewer outputs than there are recipients who charge for this message.',
  ],
  ERR_MISSING_RECIPIENT_OUTPUTS: [
    400,
    'A recipient who charges for this message has no output of the payment.',
  ],
  ERR_INVALID_PAYMENT: [400, 'The payment is no valid transaction in AtomicBEEF.'],
  ERR_PAYMENT_NOT_TO_PAYEE: [400, 'An output of the payment does not belong to whom it is to pay.'],
  ERR_INSUFFICIENT_PAYMENT: [400, 'An output of the payment holds less than is due.'],
  ERR_PAYMENT_REPLAYED: [409, 'The payment was used for another message.'],
  ERR_PAYMENT_REJECTED: [400, 'The network does not accept the payment.'],
  ERR_PAYMENTS_UNAVAILABLE: [
    503,
    'Payments cannot be checked at the moment. Nothing was taken: try again later.',
  ],
  ERR_UNKNOWN_TOPIC: [
    400,
    'Name the topics in the header X-Topics, as a JSON array or with commas between them: this server has tm_messagebox alone.',
  ],
  ERR_UNKNOWN_SERVICE: [400, 'Name the service in "service": this server has ls_messagebox alone.'],
  ERR_INVALID_QUERY: [
    400,
    '"query" must be an object; in it "identityKey", "host", both or neither.',
  ],
  ERR_INVALID_TRANSACTION: [400, 'The body is no valid transaction in BEEF.'],
  ERR_INVALID_ADVERTISEMENT: [
    400,
    'No output of the transaction is an advertisement, and it spends none.',
  ],
  ERR_ADVERTISEMENT_SPENT: [409, 'The advertisement was spent before.'],
  ERR_TOO_MANY_ADVERTISEMENTS: [
    429,
    'An identity may be advertised at up to 20 hosts, and in one transaction 5 times: spend some first.',
  ],
  ERR_PROOFS_UNAVAILABLE: [
    503,
    'Proofs cannot be checked at the moment. Nothing was admitted: try again later.',
  ],
  ERR_DUPLICATE_MESSAGE: [
    400,
    'The messageId is taken by another message of that recipient: choose another id.',
  ],
  ERR_MESSAGEBOX_REQUIRED: [400, 'Name the box in "messageBox".'],
  ERR_INVALID_LIMIT: [400, `"limit" must be a whole number from 1 to ${MAX_PAGE_MESSAGES}.`],
  ERR_INVALID_OFFSET: [400, '"offset" must be a whole number, 0 or more.'],
  ERR_MESSAGE_ID_REQUIRED: [400, 'Name the messages to acknowledge in "messageIds".'],
  ERR_INVALID_MESSAGE_ID: [
    400,
    `A message id must be a string of 1 to ${MAX_NAME_LENGTH} characters that is not blank, and "messageIds" an array of up to ${MAX_ACKNOWLEDGED_IDS} strings.`,
  ],
  ERR_INVALID_ACKNOWLEDGMENT: [400, 'None of these messages is in your boxes.'],
  ERR_INVALID_REQUEST: [
    400,
    'Give the box in "messageBox", as a string, and the fee in "recipientFee", as a number.',
  ],
  ERR_INVALID_PUBLIC_KEY: [400, '"sender" must be an identity key: a secp256k1 public key in hex.'],
  ERR_INVALID_FCM_TOKEN: [400, '"fcmToken" must be a text of 1 to 4096 characters.'],
  ERR_INVALID_PLATFORM: [400, '"platform" must be "ios", "android" or "web".'],
  ERR_INVALID_DEVICE_ID: [400, '"deviceId" must be a text of up to 255 characters.'],
  ERR_INVALID_FEE_VALUE: [
    400,
    '"recipientFee" must be a whole number: -1 blocks, 0 allows, more is a price of up to 2147483647 satoshis.',
  ],
  ERR_INVALID_MESSAGE_BOX: [
    400,
    `"messageBox" must be the name of a box: 1 to ${MAX_NAME_LENGTH} characters that are not blank.`,
  ],
  ERR_MISSING_PARAMETERS: [400, 'A parameter is missing.'],
  ERR_INVALID_ROOM: [400, 'A room is named {identityKey}-{messageBox}.'],
  ERR_NOT_YOUR_ROOM: [403, 'A room is open to its owner alone.'],
  ERR_TOO_MANY_ROOMS: [
    400,
    'A socket may be in up to 1000 rooms, whose boxes have names of 8 KiB together.',
  ],
  ERR_TOO_MANY_PACKETS: [413, 'The poll has too many packets.'],
  ERR_RATE_LIMITED: [429, 'Too many requests: wait for "retryAfterMs" milliseconds.'],
  ERR_INBOX_QUOTA_EXCEEDED: [
    429,
    "The recipient's inbox is full: it takes messages again when some were acknowledged.",
  ],
  ERR_SENDER_QUOTA_EXCEEDED: [
    429,
    'Too much of what you sent still waits for its recipients: send again when they have acknowledged some.',
  ],
  ERR_RULE_QUOTA_EXCEEDED: [
    429,
    'You have as many rules as an identity may have: change one that you have.',
  ],
  ERR_UNAUTHORIZED: [401, 'This is not the key of the migrations.'],
  ERR_MIGRATION_FAILED: [
    500,
    'The schema could not be brought up to date. What went wrong was logged.',
  ],
  ERR_SERVER_BUSY: [
    503,
    'The server has too much to do at the moment: try again in a few seconds.',
  ],
  ERR_STOPPING: [503, 'This server is stopping: ask another node, or try again in a few seconds.'],
  ERR_UNAVAILABLE: [
    503,
    'The database does not answer. Nothing was acknowledged: try again in a few seconds.',
  ],
  ERR_SCHEMA_OUTDATED: [
    503,
    "The database's schema is not up to date: its operator has to run the migrations.",
  ],
  ERR_INTERNAL: [500, 'Something went wrong on this server. It was logged.'],
} as const satisfies Record<string, readonly [number, string]>

export type ErrorCode = keyof typeof ERRORS

/** How soon a server that has too much to do may be asked again, in seconds. */
const RETRY_AFTER = '1'

/** The body of every refusal. `UNAUTHORIZED` also has `message`, which clients of the protocol expect. */
export interface ErrorBody {
  status: 'error'
  code: ErrorCode
  description: string
  [detail: string]: unknown
}

/** What the log is told where a refusal is the server's fault; its client is not. Nothing in it may hold a body, a key or a signature. */
export interface Fault {
  /** The line of the log. */
  what: string
  [field: string]: unknown
}

/** A refusal from the catalogue, with an optional text of its own and further fields for its body. */
export class ApiError extends Error {
  readonly status: number
  readonly headers: Record<string, string>
  readonly fault: Fault | undefined

  /**
   * @param options headers for HTTP, and the fault, where it is the server's
   */
  constructor(
    readonly code: ErrorCode,
    description?: string,
    readonly details: Record<string, unknown> = {},
    { headers = {}, fault }: { headers?: Record<string, string>; fault?: Fault } = {},
  ) {
    super(description ?? ERRORS[code][1])
    this.name = 'ApiError'
    this.status = ERRORS[code][0]
    this.headers = code === 'ERR_SERVER_BUSY' ? { 'retry-after': RETRY_AFTER, ...headers } : headers
    this.fault = fault
  }

  /** The same refusal, with further fields in its body. */
  with(details: Record<string, unknown>): ApiError {
    return new ApiError(
      this.code,
      this.message,
      { ...this.details, ...details },
      { headers: this.headers, ...(this.fault !== undefined && { fault: this.fault }) },
    )
  }

  /** The answer's body, the same for HTTP and for a socket's acknowledgement. */
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

/** What keeps a server or a command from starting; the message says what is wrong and what to do. */
export class StartError extends Error {}

/** The part of a logger that refusals need. */
export interface FaultLog {
  error: (fields: object, text: string) => void
}

/**
 * Any thrown value as the refusal that its client is told: what is not from the catalogue is an `ERR_INTERNAL`.
 * @param log where the cause goes, if the fault is the server's
 */
export function toApiError(error: unknown, log: FaultLog): ApiError {
  // A path's parameter that is no percent-encoding.
  if (error instanceof URIError) return new ApiError('ERR_BAD_REQUEST')
  if (!(error instanceof ApiError)) {
    log.error({ err: error }, 'something unexpected went wrong')
    return new ApiError('ERR_INTERNAL')
  }
  if (error.fault !== undefined) {
    const { what, ...fields } = error.fault
    log.error(fields, what)
  }
  return error
}
