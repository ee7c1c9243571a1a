/** Schemas of responses. They allow no other fields, so tests find fields without a description. */
import type { JsonSchema } from '../contract/schema'

/** An object with exactly these fields; those in `optional` may be missing. */
export function exactly(
  properties: Record<string, JsonSchema>,
  optional: string[] = [],
): JsonSchema {
  return {
    type: 'object',
    required: Object.keys(properties).filter((name) => !optional.includes(name)),
    properties,
    additionalProperties: false,
  }
}

/** The body of a success. */
export function success(
  properties: Record<string, JsonSchema> = {},
  optional: string[] = [],
): JsonSchema {
  return exactly({ status: { const: 'success' }, ...properties }, optional)
}

export function listOf(items: JsonSchema, more: JsonSchema = {}): JsonSchema {
  return { type: 'array', items, ...more }
}

export const STRING: JsonSchema = { type: 'string' }
export const COUNT: JsonSchema = { type: 'integer', minimum: 0 }
export const FLAG: JsonSchema = { type: 'boolean' }
export const SATOSHIS: JsonSchema = { type: 'integer', minimum: 0, description: 'In satoshis.' }
export const FEE: JsonSchema = {
  type: 'integer',
  minimum: -1,
  description: 'In satoshis for each message; -1 blocks, 0 allows.',
}
export const FEE_STATUS: JsonSchema = { enum: ['always_allow', 'blocked', 'payment_required'] }

export const TIME: JsonSchema = {
  type: 'string',
  format: 'date-time',
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$',
  description: 'ISO 8601 in UTC, with milliseconds.',
}

export const IDENTITY_KEY: JsonSchema = {
  type: 'string',
  pattern: '^0[23][0-9a-f]{64}$',
  description: 'A compressed secp256k1 public key in lower-case hex.',
}

export function nullable(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: 'null' }] }
}

/** A text for people. */
export const ABOUT: JsonSchema = { type: 'string', description: 'For a person.' }

/** A time for examples. */
export const NOON = '2026-01-31T12:00:00.000Z'
