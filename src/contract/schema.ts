/**
 * Values as requests carry them, each defined once: how it is read, and the JSON Schema (2020-12) that says the same
 * in the API's document. Reading is a plain function; nothing interprets a schema while a request waits.
 */
import { ApiError, type ErrorCode } from './errors'
import { MAX_NAME_LENGTH, type IdentityKey } from './protocol'
import { isInteger, isName, KEY_PATTERN, toIdentityKey } from './primitives'

export type JsonSchema = Readonly<Record<string, unknown>>

export interface Schema<T> {
  /** The value in its canonical form; undefined where it is none. */
  read: (value: unknown) => T | undefined
  json: JsonSchema
}

/** @throws ApiError with this code, where the value is none */
export function take<T>({ read }: Schema<T>, value: unknown, code: ErrorCode): T {
  const taken = read(value)
  if (taken === undefined) throw new ApiError(code)
  return taken
}

/** The same schema with words for its readers. */
export function describe<T>(
  { read, json }: Schema<T>,
  description: string,
  more: JsonSchema = {},
): Schema<T> {
  return { read, json: { ...json, description, ...more } }
}

/** A message's id. */
export const messageId: Schema<string> = {
  read: (value) => (isName(value) ? value : undefined),
  json: {
    type: 'string',
    minLength: 1,
    maxLength: MAX_NAME_LENGTH,
    pattern: '\\S',
    description: `1 to ${MAX_NAME_LENGTH} characters (Unicode code points) that are not all blank, without half of a surrogate pair. Compared exactly.`,
  },
}

/** The name of a box, trimmed. */
export const boxName: Schema<string> = {
  read: (value) => messageId.read(typeof value === 'string' ? value.trim() : value),
  json: {
    type: 'string',
    pattern: trimmed(MAX_NAME_LENGTH),
    description: `1 to ${MAX_NAME_LENGTH} characters (Unicode code points), blanks at both ends left out, without half of a surrogate pair. Compared exactly.`,
  },
}

/** A public key in any spelling, read as an identity key. */
export const publicKey: Schema<IdentityKey> = {
  read: toIdentityKey,
  json: {
    type: 'string',
    pattern: anyCase(KEY_PATTERN.source),
    description:
      'A secp256k1 public key on the curve, in hex. The compressed form in lower case is the canonical one; the others are understood.',
  },
}

export function wholeNumber(minimum: number, maximum = Number.MAX_SAFE_INTEGER): Schema<number> {
  return {
    read: (value) => (isInteger(value) && value >= minimum && value <= maximum ? value : undefined),
    json: { type: 'integer', minimum, maximum },
  }
}

/** A whole number as a query says it, in digits. */
export function queriedNumber(minimum: number, maximum = 10 ** MAX_DIGITS - 1): Schema<number> {
  const { read, json } = wholeNumber(minimum, maximum)
  return {
    read: (value) =>
      typeof value === 'string' && DIGITS.test(value) ? read(Number(value)) : undefined,
    json,
  }
}

/** So many digits are a safe integer, whatever they are. */
const MAX_DIGITS = 15
const DIGITS = new RegExp(`^\\d{1,${MAX_DIGITS}}$`)

/** A text of at most so many UTF-16 units. */
export function text(maximum: number): Schema<string> {
  return {
    read: (value) => (typeof value === 'string' && value.length <= maximum ? value : undefined),
    json: { type: 'string', maxLength: maximum },
  }
}

/** A text that is trimmed, and then has something in it but at most so many UTF-16 units. */
export function trimmedText(maximum: number): Schema<string> {
  return {
    read(value) {
      const trimmed = typeof value === 'string' ? value.trim() : ''
      return trimmed === '' || trimmed.length > maximum ? undefined : trimmed
    },
    json: { type: 'string', pattern: trimmed(maximum) },
  }
}

export function choice<T extends string>(choices: readonly T[]): Schema<T> {
  return { read: (value) => choices.find((one) => one === value), json: { enum: choices } }
}

/** A value, or null, which is the same as nothing at all. */
export function orNull<T>({ read, json }: Schema<T>): Schema<T | null> {
  return {
    read: (value) => (value === undefined || value === null ? null : read(value)),
    json: { anyOf: [json, { type: 'null' }] },
  }
}

/** A value; or nothing, said by leaving it out, by null, or by an empty text. */
export function orNothing<T>({ read, json }: Schema<T>): Schema<T | null> {
  return {
    read: (value) => (value === undefined || value === null || value === '' ? null : read(value)),
    json: { anyOf: [json, { type: 'null' }, { const: '' }] },
  }
}

/** A text, or nothing, said by leaving it out, by null, or by a text of blanks. */
export function orBlank({ read, json }: Schema<string>): Schema<string | null> {
  return {
    read: (value) =>
      value === undefined || value === null || (typeof value === 'string' && value.trim() === '')
        ? null
        : read(value),
    json: { anyOf: [json, { type: 'null' }, { type: 'string', pattern: '^\\s*$' }] },
  }
}

/** As `orNothing`, in a query, which knows no null. */
export function queriedOrNothing<T>(schema: Schema<T>): Schema<T | null> {
  return { read: orNothing(schema).read, json: { anyOf: [schema.json, { const: '' }] } }
}

/** The JSON Schema of an object with these fields; it may have others. */
export function fieldsOf(
  fields: Record<string, Pick<Schema<unknown>, 'json'>>,
  required: string[] = [],
  more: JsonSchema = {},
): JsonSchema {
  const properties = Object.fromEntries(
    Object.entries(fields).map(([name, { json }]) => [name, json]),
  )
  return { type: 'object', ...(required.length > 0 && { required }), properties, ...more }
}

/** What begins and ends with something that is not blank, between blanks. */
function trimmed(maximum: number): string {
  return `^\\s*\\S([\\s\\S]{0,${maximum - 2}}\\S)?\\s*$`
}

/** JSON Schema's patterns have no flags. */
function anyCase(pattern: string): string {
  return pattern.replaceAll('a-f', 'a-fA-F')
}
