/** How the document tells of errors: grouped by status, each with its code, its text and the fields it brings. */
import { ApiError, ERRORS, type ErrorCode } from '../contract/errors'
import type { JsonSchema } from '../contract/schema'
import { IDENTITY_KEY, listOf, SATOSHIS, STRING } from '../contract/answers'
import { BOB, type OperationDescription } from '../routes/route'

/** Before a request is one, and where the server itself is at fault: any operation. */
const ANYWHERE = [
  'ERR_BAD_REQUEST',
  'ERR_REQUEST_TIMEOUT',
  'ERR_HEADERS_TOO_LARGE',
  'ERR_INTERNAL',
] as const
/** Where a proven identity is asked for. */
const AUTHENTICATED = [
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

/** Codes that belong to no operation, since what is asked for is none. */
export const NO_OPERATION = ['ERR_NOT_FOUND', 'ERR_METHOD_NOT_ALLOWED'] as const

/** Every code that an operation may answer with. */
export function codesOf({
  access,
  errors,
  shared = [],
}: Pick<OperationDescription, 'access' | 'errors' | 'shared'>): ErrorCode[] {
  return [
    ...new Set<ErrorCode>([
      ...errors,
      ...shared,
      ...(access === 'identity' ? AUTHENTICATED : []),
      ...ANYWHERE,
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
    ...(codes.some((code) => RETRIED.includes(code)) && {
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

/** The bodies of these errors and an example of each, by code, for the responses to refer to. */
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
    description: { type: 'string', minLength: 1, description: 'What is wrong, for a person.' },
  }
  const details = { ...(code !== 'UNAUTHORIZED' && OVERLAY_MESSAGE), ...DETAILS[code] }
  const { properties, required } = {
    properties: { ...fixed, ...mapValues(details, ({ schema }) => schema) },
    required: Object.keys(fixed),
  }
  return { type: 'object', required, properties, additionalProperties: false }
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
  ...limit('How much may be stored.', example),
  unit: {
    schema: { enum: ['messages', 'bytes'], description: 'What the limit counts.' },
    example: 'messages',
  },
})

const OVERLAY_MESSAGE: Details = {
  message: {
    schema: {
      type: 'string',
      description: 'The description once more, for clients of the overlay routes.',
    },
    example: '',
  },
}

/** The fields that an error may bring beside its code and its text. */
const DETAILS: Partial<Record<ErrorCode, Details>> = {
  ERR_BODY_TOO_LARGE: limit('In bytes.', 10485760),
  ERR_DELIVERY_BLOCKED: {
    blockedRecipients: {
      schema: listOf(IDENTITY_KEY, {
        minItems: 1,
        description: 'The recipients who block the sender.',
      }),
      example: [BOB],
    },
  },
  ERR_INVALID_PAYMENT: limit('In bytes of the transaction, or in outputs.', 1048576),
  ERR_INVALID_TRANSACTION: limit('In bytes of the transaction with all that it rests on.', 65536),
  ERR_TOO_MANY_ADVERTISEMENTS: limit(
    'Hosts of an identity, or advertisements in one transaction or of one host.',
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
        { description: 'Which recipients, counted from 0.' },
      ),
      example: [1],
    },
  },
  ERR_RATE_LIMITED: {
    ...limit('Requests in a minute.', 3000),
    retryAfterMs: {
      schema: { type: 'integer', minimum: 1, description: 'How long to wait, in milliseconds.' },
      example: 20000,
    },
  },
  ERR_INBOX_QUOTA_EXCEEDED: {
    ...quota(10000),
    recipient: { schema: { ...STRING, description: 'Whose inbox is full.' }, example: BOB },
  },
  ERR_SENDER_QUOTA_EXCEEDED: quota(10000),
  ERR_RULE_QUOTA_EXCEEDED: limit('Rules of one identity.', 10000),
}

/** What comes with a header that says when to come back. */
const RETRIED: readonly ErrorCode[] = ['ERR_RATE_LIMITED', 'ERR_SERVER_BUSY']
