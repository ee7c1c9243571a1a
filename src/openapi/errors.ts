/** Errors in the OpenAPI document: grouped by status, each with its code, text and fields. */
import { ApiError, ERRORS, type ErrorCode } from '../contract/errors'
import type { JsonSchema } from '../contract/schema'
import { IDENTITY_KEY, listOf, SATOSHIS, STRING } from '../contract/answers'
import { BOB, type OperationDescription } from '../routes/route'

/** The codes of every operation. */
const COMMON_CODES = [
  'ERR_BAD_REQUEST',
  'ERR_REQUEST_TIMEOUT',
  'ERR_HEADERS_TOO_LARGE',
  'ERR_INTERNAL',
] as const
/** The codes of every operation that needs authentication. */
const IDENTITY_CODES = [
  'UNAUTHORIZED',
  'ERR_INVALID_JSON',
  'ERR_JSON_TOO_COMPLEX',
  'ERR_BODY_TOO_LARGE',
  'ERR_BODY_IN_PIECES',
  'ERR_UNSUPPORTED_ENCODING',
  'ERR_RATE_LIMITED',
  'ERR_SERVER_BUSY',
  'ERR_UNAVAILABLE',
] as const

/** The codes for requests that match no operation. */
export const NO_OPERATION = ['ERR_NOT_FOUND', 'ERR_METHOD_NOT_ALLOWED'] as const

/** All codes that an operation may answer with. */
export function codesOf({
  access,
  errors,
  shared = [],
}: Pick<OperationDescription, 'access' | 'errors' | 'shared'>): ErrorCode[] {
  return [
    ...new Set<ErrorCode>([
      ...errors,
      ...shared,
      ...(access === 'identity' ? IDENTITY_CODES : []),
      ...COMMON_CODES,
    ]),
  ]
}

/** The responses for these codes, one for each status. */
export function errorResponses(codes: readonly ErrorCode[]): Record<string, object> {
  const statuses = [...new Set(codes.map((code) => ERRORS[code].status))].sort((a, b) => a - b)
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      errorResponse(codes.filter((code) => ERRORS[code].status === status)),
    ]),
  )
}

export function errorResponse(codes: readonly ErrorCode[]): object {
  const headers = {
    'x-request-id': { $ref: '#/components/headers/RequestId' },
    ...(codes.some((code) => CODES_TO_RETRY.includes(code)) && {
      'retry-after': { $ref: '#/components/headers/RetryAfter' },
    }),
  }
  return {
    description: codes.map((code) => `\`${code}\`: ${ERRORS[code].text}`).join('\n\n'),
    headers,
    content: {
      'application/json': {
        schema: errorSchema(codes),
        examples: Object.fromEntries(
          codes.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
        ),
      },
    },
  }
}

function errorSchema(codes: readonly ErrorCode[]): JsonSchema {
  const bodies = codes.map((code) => ({ $ref: `#/components/schemas/${code}` }))
  return bodies.length === 1 ? bodies[0]! : { oneOf: bodies }
}

/** The schema and an example of each error's body, by code. Responses refer to them. */
export function errorComponents(codes: readonly ErrorCode[]): {
  schemas: Record<string, JsonSchema>
  examples: Record<string, object>
} {
  return {
    schemas: Object.fromEntries(codes.map((code) => [code, bodyOf(code)])),
    examples: Object.fromEntries(
      codes.map((code) => [code, { summary: ERRORS[code].text, value: exampleOf(code) }]),
    ),
  }
}

function bodyOf(code: ErrorCode): JsonSchema {
  const message: Record<string, JsonSchema> =
    code === 'UNAUTHORIZED' ? { message: { const: 'Mutual-authentication failed!' } } : {}
  const fixed = {
    status: { const: 'error' },
    code: { const: code },
    ...message,
    description: { type: 'string', minLength: 1, description: 'What is wrong, in plain text.' },
  }
  const details = { ...(code !== 'UNAUTHORIZED' && OVERLAY_MESSAGE), ...DETAILS[code] }
  return {
    type: 'object',
    required: Object.keys(fixed),
    properties: { ...fixed, ...mapValues(details, ({ schema }) => schema) },
    additionalProperties: false,
  }
}

function exampleOf(code: ErrorCode): object {
  return new ApiError(
    code,
    undefined,
    mapValues(DETAILS[code] ?? {}, ({ example }) => example),
  ).toBody()
}

function mapValues<T, U>(from: Record<string, T>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(from).map(([key, value]) => [key, map(value)]))
}

type Details = Record<string, { schema: JsonSchema; example: unknown }>

const limit = (description: string, example: number): Details => ({
  limit: { schema: { type: 'integer', minimum: 0, description }, example },
})
const quota = (example: number): Details => ({
  ...limit('The quota.', example),
  unit: {
    schema: { enum: ['messages', 'bytes'], description: 'What the limit counts.' },
    example: 'messages',
  },
})

const OVERLAY_MESSAGE: Details = {
  message: {
    schema: {
      type: 'string',
      description: 'The same as `description`; only overlay routes have it.',
    },
    example: '',
  },
}

/** The fields that an error may have besides its code and its text. */
const DETAILS: Partial<Record<ErrorCode, Details>> = {
  ERR_BODY_TOO_LARGE: limit('In bytes.', 10485760),
  ERR_DELIVERY_BLOCKED: {
    blockedRecipients: {
      schema: listOf(IDENTITY_KEY, {
        minItems: 1,
        description: 'The recipients that block the sender.',
      }),
      example: [BOB],
    },
  },
  ERR_INVALID_PAYMENT: limit('Bytes of the transaction, or number of outputs.', 1048576),
  ERR_INVALID_TRANSACTION: limit('Bytes of the transaction with its ancestors and proofs.', 65536),
  ERR_TOO_MANY_ADVERTISEMENTS: limit(
    'Hosts of an identity, advertisements in a transaction, or advertisements of a host.',
    20,
  ),
  ERR_INSUFFICIENT_PAYMENT: {
    due: { schema: SATOSHIS, example: 10 },
    paid: { schema: SATOSHIS, example: 9 },
  },
  ERR_INVALID_PUBLIC_KEY: {
    invalidIndexes: {
      schema: listOf(
        { type: 'integer', minimum: 0 },
        { description: 'The indexes of the invalid recipients, counted from 0.' },
      ),
      example: [1],
    },
  },
  ERR_RATE_LIMITED: {
    ...limit('Requests per minute.', 3000),
    retryAfterMs: {
      schema: { type: 'integer', minimum: 1, description: 'The time to wait, in milliseconds.' },
      example: 20000,
    },
  },
  ERR_INBOX_QUOTA_EXCEEDED: {
    ...quota(10000),
    recipient: {
      schema: { ...STRING, description: 'The recipient with the full inbox.' },
      example: BOB,
    },
  },
  ERR_SENDER_QUOTA_EXCEEDED: quota(10000),
  ERR_RULE_QUOTA_EXCEEDED: limit('Rules of one identity.', 10000),
}

/** The codes that come with a `retry-after` header. */
const CODES_TO_RETRY: readonly ErrorCode[] = ['ERR_RATE_LIMITED', 'ERR_SERVER_BUSY']
