/**
 * A payment beside a message: its fields, and the payee of each output. Does not verify the
 * transaction. The outputs are `InternalizeOutput` of BRC-100; their remittance is that of BRC-29.
 */
import { ApiError } from '../contract/errors'
import type { Price } from '../permissions/rules'
import type { IdentityKey } from '../contract/protocol'
import { describe, fieldsOf, publicKey, wholeNumber, type Schema } from '../contract/schema'
import {
  asFields,
  isInteger,
  parseFields,
  toIdentityKey,
  type Fields,
} from '../contract/primitives'

const MAX_PAYMENT_BYTES = 1024 * 1024
const MAX_OUTPUTS = 200
/** Prefix and suffix together stay within the 800 characters of BRC-43. */
const MAX_DERIVATION_LENGTH = 396
/** The limits of wallets for an action's description and labels (BRC-100). */
const DESCRIPTION_BYTES = { least: 5, most: 2000 }
const MAX_LABEL_BYTES = 300
const MAX_LABELS = 50

export interface Payment {
  /** AtomicBEEF (BRC-95). */
  tx: Buffer
  outputs: Fields[]
  description?: string
  labels?: string[]
}

/** An output, with what its payee needs to derive the key. */
export interface PaidOutput {
  outputIndex: number
  derivationPrefix: string
  derivationSuffix: string
  senderIdentityKey: IdentityKey
}

/** The server, or the index of the recipient in the request. */
export type Payee = 'server' | number

/** Each output of the request, with its payee. */
export interface AssignedOutput {
  payee: Payee
  output: Fields
}

const transaction: Schema<Buffer> = {
  read: toBytes,
  json: {
    anyOf: [
      {
        type: 'array',
        items: { type: 'integer', minimum: 0, maximum: 255 },
        minItems: 1,
        maxItems: MAX_PAYMENT_BYTES,
      },
      // Canonical base64: only its alphabet, and no bits after the last byte.
      {
        type: 'string',
        contentEncoding: 'base64',
        pattern:
          '^(?!=)([A-Za-z0-9+/]{4})*' +
          '([A-Za-z0-9+/][AQgw]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048])?={0,2}$',
        minLength: 2,
      },
    ],
    description:
      'The transaction with its ancestors up to their proofs, as AtomicBEEF (BRC-95): ' +
      `bytes as numbers, or base64; up to ${MAX_PAYMENT_BYTES} bytes.`,
  },
}
const outputIndex = describe(wholeNumber(0), 'Which output of the transaction this is.')
const BASE64 = /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
/** The recipients' wallets accept only base64. */
const derivation: Schema<string> = {
  read: (value) =>
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= MAX_DERIVATION_LENGTH &&
    BASE64.test(value)
      ? value
      : undefined,
  json: {
    type: 'string',
    contentEncoding: 'base64',
    pattern: BASE64.source,
    minLength: 1,
    maxLength: MAX_DERIVATION_LENGTH,
    description: `Base64, up to ${MAX_DERIVATION_LENGTH} characters.`,
  },
}
const remittance = {
  derivationPrefix: derivation,
  derivationSuffix: derivation,
  senderIdentityKey: publicKey,
}
const WALLET_PAYMENT = 'wallet payment'

/** The schema of one output: that of BRC-100, with the remittance of BRC-29. */
export const PAYMENT_OUTPUT = fieldsOf(
  {
    outputIndex,
    protocol: { json: { const: WALLET_PAYMENT } },
    paymentRemittance: {
      json: fieldsOf(remittance, Object.keys(remittance), {
        description: 'How the payee derives the key of the output (BRC-29).',
      }),
    },
  },
  ['outputIndex', 'protocol', 'paymentRemittance'],
)

export const PAYMENT = fieldsOf(
  {
    tx: transaction,
    outputs: {
      json: {
        type: 'array',
        items: PAYMENT_OUTPUT,
        maxItems: MAX_OUTPUTS,
        description:
          'If the server charges for the delivery, its output comes first. The outputs of the ' +
          'recipients with a fee follow, in the order of the recipients.',
      },
    },
    description: {
      json: {
        type: 'string',
        description:
          'The paid recipients get it if it has ' +
          `${DESCRIPTION_BYTES.least} to ${DESCRIPTION_BYTES.most} bytes.`,
      },
    },
    labels: {
      json: {
        type: 'array',
        items: { type: 'string' },
        description:
          `The paid recipients get them if there are up to ${MAX_LABELS} labels of up to ` +
          `${MAX_LABEL_BYTES} bytes.`,
      },
    },
  },
  ['tx', 'outputs'],
)

/**
 * Reads a payment's fields.
 * @throws ApiError ERR_MISSING_PAYMENT_TX, ERR_INVALID_PAYMENT
 */
export function parsePayment(fields: Fields | undefined): Payment {
  if (fields?.tx === undefined || fields.tx === null || fields.tx === '')
    throw new ApiError('ERR_MISSING_PAYMENT_TX')
  const tx = transaction.read(fields.tx)
  if (tx === undefined)
    throw new ApiError(
      'ERR_INVALID_PAYMENT',
      'The payment\'s "tx" must be AtomicBEEF, as an array of bytes or in base64.',
    )
  if (tx.length > MAX_PAYMENT_BYTES)
    throw new ApiError(
      'ERR_INVALID_PAYMENT',
      `The payment's transaction and its ancestors may have up to ${MAX_PAYMENT_BYTES} bytes.`,
      { limit: MAX_PAYMENT_BYTES },
    )
  const named = Array.isArray(fields.outputs) ? fields.outputs : []
  if (named.length > MAX_OUTPUTS)
    throw new ApiError('ERR_INVALID_PAYMENT', `A payment may name up to ${MAX_OUTPUTS} outputs.`, {
      limit: MAX_OUTPUTS,
    })
  const { description, labels } = fields
  return {
    tx,
    outputs: named.map((output) => asFields(output) ?? {}),
    ...(hasBytes(description, DESCRIPTION_BYTES.least, DESCRIPTION_BYTES.most) && { description }),
    ...(Array.isArray(labels) &&
      labels.length <= MAX_LABELS &&
      labels.every((label) => hasBytes(label, 1, MAX_LABEL_BYTES)) && { labels }),
  }
}

/**
 * Assigns a payee to each output. If the server charges for the delivery, the first output pays it.
 * The others pay the recipients with a fee, in the order of the request, unless an output names its
 * recipient. If there is a single recipient, all further outputs pay it.
 * @throws ApiError ERR_MISSING_DELIVERY_OUTPUT, ERR_INSUFFICIENT_OUTPUTS,
 * ERR_MISSING_RECIPIENT_OUTPUTS, ERR_PAYMENT_NOT_TO_PAYEE
 */
export function assignOutputs(
  { outputs }: Payment,
  { deliveryFee, recipientFees }: Price,
  recipients: IdentityKey[],
): AssignedOutput[] {
  const charging = recipientFees.flatMap((fee, index) => (fee > 0 ? [index] : []))
  const assigned: AssignedOutput[] = []
  const rest = [...outputs]
  if (deliveryFee > 0) {
    const output = rest.shift()
    if (output === undefined) throw new ApiError('ERR_MISSING_DELIVERY_OUTPUT')
    assigned.push({ payee: 'server', output })
  }
  if (rest.length < charging.length) {
    throw new ApiError(
      'ERR_INSUFFICIENT_OUTPUTS',
      `${charging.length} recipients charge for this message, but the payment has ` +
        `${rest.length} outputs for them.`,
    )
  }
  const named = rest.map((output) => recipients.indexOf(recipientOf(output) ?? ''))
  const unnamed = charging.filter((index) => !named.includes(index))
  rest.forEach((output, position) => {
    const payee =
      named[position]! >= 0
        ? named[position]
        : (unnamed.shift() ?? (recipients.length === 1 ? 0 : undefined))
    if (payee === undefined || recipientOf(output) === null)
      throw new ApiError(
        'ERR_PAYMENT_NOT_TO_PAYEE',
        `"outputs"[${outputs.indexOf(output)}] does not pay the server or any recipient ` +
          'of this message.',
      )
    assigned.push({ payee, output })
  })
  const missing = charging.find((index) => !assigned.some(({ payee }) => payee === index))
  if (missing !== undefined)
    throw new ApiError(
      'ERR_MISSING_RECIPIENT_OUTPUTS',
      `The payment has no output for ${recipients[missing]!}.`,
    )
  return assigned
}

/**
 * How the key of an output is derived, as the output says.
 * @throws ApiError ERR_PAYMENT_NOT_TO_PAYEE if it is not a BRC-29 "wallet payment"
 */
export function parseOutput(output: Fields): PaidOutput {
  const { protocol } = output
  const index = outputIndex.read(output.outputIndex)
  const fields = asFields(output.paymentRemittance) ?? {}
  const derivationPrefix = remittance.derivationPrefix.read(fields.derivationPrefix)
  const derivationSuffix = remittance.derivationSuffix.read(fields.derivationSuffix)
  const senderIdentityKey = remittance.senderIdentityKey.read(fields.senderIdentityKey)
  if (index === undefined)
    throw new ApiError(
      'ERR_PAYMENT_NOT_TO_PAYEE',
      'Each output of a payment must have an "outputIndex", a whole number.',
    )
  if (protocol !== WALLET_PAYMENT)
    throw new ApiError(
      'ERR_PAYMENT_NOT_TO_PAYEE',
      `Output ${index} must have the protocol "wallet payment".`,
    )
  if (
    derivationPrefix === undefined ||
    derivationSuffix === undefined ||
    senderIdentityKey === undefined
  ) {
    throw new ApiError(
      'ERR_PAYMENT_NOT_TO_PAYEE',
      `Output ${index} must have a "paymentRemittance" with derivationPrefix, ` +
        'derivationSuffix and senderIdentityKey.',
    )
  }
  return { outputIndex: index, derivationPrefix, derivationSuffix, senderIdentityKey }
}

/** The recipient in an output's custom instructions; undefined if none, null if it is not a key. */
function recipientOf(output: Fields): IdentityKey | null | undefined {
  const instructions =
    output.customInstructions ?? asFields(output.paymentRemittance)?.customInstructions
  const named = (
    typeof instructions === 'string' ? parseFields(instructions) : asFields(instructions)
  )?.recipientIdentityKey
  return named === undefined ? undefined : (toIdentityKey(named) ?? null)
}

function toBytes(value: unknown): Buffer | undefined {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64')
    return bytes.length > 0 && withoutPadding(bytes.toString('base64')) === withoutPadding(value)
      ? bytes
      : undefined
  }
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_PAYMENT_BYTES + 1)
    return undefined
  return value.every((byte) => isInteger(byte) && byte >= 0 && byte <= 255)
    ? Buffer.from(value)
    : undefined
}

function withoutPadding(base64: string): string {
  if (base64.endsWith('==')) return base64.slice(0, -2)
  return base64.endsWith('=') ? base64.slice(0, -1) : base64
}

function hasBytes(value: unknown, least: number, most: number): value is string {
  if (typeof value !== 'string' || value.length > most) return false
  const bytes = Buffer.byteLength(value)
  return bytes >= least && bytes <= most
}
