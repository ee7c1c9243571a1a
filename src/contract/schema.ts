/**
 * Schemas of request values. Each has a reader and the same rules as JSON Schema (2020-12) for the
 * API's document. Readers are plain functions: no schema is interpreted while a request waits.
 */
import { ApiError, type ErrorCode } from './errors'
import { MAX_NAME_LENGTH, type IdentityKey } from './protocol'
import { asFields, isInteger, isName, KEY_PATTERN, toIdentityKey, type Fields } from './primitives'

const CURSOR = /^[\w-]{22}$/

export type JsonSchema = Readonly<Record<string, unknown>>

export interface Schema<T> {
  /** The value in its canonical form; undefined if it does not fit. */
  read: (value: unknown) => T | undefined
  json: JsonSchema
}

/** @throws ApiError with this code if the value does not fit */
export function take<T>({ read }: Schema<T>, value: unknown, code: ErrorCode): T {
  const taken = read(value)
  if (taken === undefined) throw new ApiError(code)
  return taken
}

/** The same schema with a description. */
export function describe<T>(
  { read, json }: Schema<T>,
  description: string,
  more: JsonSchema = {},
): Schema<T> {
  return { read, json: { ...json, description, ...more } }
}

export const messageId: Schema<string> = {
  read: (value) => (isName(value) ? value : undefined),
  json: {
    type: 'string',
    minLength: 1,
    maxLength: MAX_NAME_LENGTH,
    pattern: '\\S',
    description:
      `1 to ${MAX_NAME_LENGTH} characters (Unicode code points) that are not all blank, ` +
      'without half of a surrogate pair. Compared exactly.',
  },
}

/** The place after a message of a list. */
export const cursor: Schema<string> = {
  read: (value) => (typeof value === 'string' && CURSOR.test(value) ? value : undefined),
  json: { type: 'string', pattern: CURSOR.source },
}

/** The name of a box, trimmed. */
export const boxName: Schema<string> = {
  read: (value) => messageId.read(typeof value === 'string' ? value.trim() : value),
  json: {
    type: 'string',
    pattern: trimmed(MAX_NAME_LENGTH),
    description:
      `1 to ${MAX_NAME_LENGTH} characters (Unicode code points), blanks at both ends left out, ` +
      'without half of a surrogate pair. Compared exactly.',
  },
}

/** A public key in any spelling, read as an identity key. */
export const publicKey: Schema<IdentityKey> = {
  read: toIdentityKey,
  json: {
    type: 'string',
    pattern: anyCase(KEY_PATTERN.source),
    description:
      'A secp256k1 public key on the curve, in hex. The compressed form in lower case is the ' +
      'canonical one; the others are understood.',
  },
}

export function wholeNumber(minimum: number, maximum = Number.MAX_SAFE_INTEGER): Schema<number> {
  return {
    read: (value) => (isInteger(value) && value >= minimum && value <= maximum ? value : undefined),
    json: { type: 'integer', minimum, maximum },
  }
}

/** A whole number in a query, as digits. */
export function queriedNumber(minimum: number, maximum = 10 ** MAX_DIGITS - 1): Schema<number> {
  const { read, json } = wholeNumber(minimum, maximum)
  return {
    read: (value) =>
      typeof value === 'string' && DIGITS.test(value) ? read(Number(value)) : undefined,
    json,
  }
}

/** A number with this many digits is always a safe integer. */
const MAX_DIGITS = 15
const DIGITS = new RegExp(`^\\d{1,${MAX_DIGITS}}$`)

/** A string of at most `maximum` UTF-16 units. */
export function text(maximum: number): Schema<string> {
  return {
    read: (value) => (typeof value === 'string' && value.length <= maximum ? value : undefined),
    json: { type: 'string', maxLength: maximum },
  }
}

/** A string that, trimmed, has 1 to `maximum` UTF-16 units. */
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

/** A value, or null, which means that it is missing. */
export function orNull<T>({ read, json }: Schema<T>): Schema<T | null> {
  return {
    read: (value) => (value === undefined || value === null ? null : read(value)),
    json: { anyOf: [json, { type: 'null' }] },
  }
}

/** A value, or nothing: undefined, null or an empty string. */
export function orNothing<T>({ read, json }: Schema<T>): Schema<T | null> {
  return {
    read: (value) => (value === undefined || value === null || value === '' ? null : read(value)),
    json: { anyOf: [json, { type: 'null' }, { const: '' }] },
  }
}

/** A string, or nothing: undefined, null or blanks. */
export function orBlank({ read, json }: Schema<string>): Schema<string | null> {
  return {
    read: (value) =>
      value === undefined || value === null || (typeof value === 'string' && value.trim() === '')
        ? null
        : read(value),
    json: { anyOf: [json, { type: 'null' }, { type: 'string', pattern: '^\\s*$' }] },
  }
}

/** A value, or the default if it is left out. */
export function orDefault<T>({ read, json }: Schema<T>, value: T): Schema<T> {
  return {
    read: (given) => (given === undefined ? value : read(given)),
    json: { ...json, default: value },
  }
}

/** As `orNothing`, for a query, which has no null. */
export function queriedOrNothing<T>(schema: Schema<T>): Schema<T | null> {
  return { read: orNothing(schema).read, json: { anyOf: [schema.json, { const: '' }] } }
}

interface FieldOptions {
  /** The text of the error for a value that does not fit. */
  text?: string
  /** The error if the field is missing: every such field is looked for before any field is read. */
  missing?: Missing
  /** Takes the value from the object's fields, if the field has more than one name. */
  from?: (fields: Fields) => unknown
  /** If the field is left out, its value is undefined. */
  optional?: true
  /** The field's JSON Schema is given to `object`. */
  undescribed?: true
}

interface Missing {
  code: ErrorCode
  text?: string
  /** Undefined, null and an empty string are missing unless this says otherwise. */
  isMissing?: (value: unknown) => boolean
}

/** A field of an object, with the code of the error for a value that does not fit. */
interface Field<T> extends Schema<T>, FieldOptions {
  code: ErrorCode
}

/** An object with fields, which may have others. */
export interface ObjectSchema<T> extends Schema<T> {
  /**
   * Reads a request; a request that is no object has no fields.
   * @throws ApiError for the first field, in the order of declaration, whose value does not fit
   */
  parse: (value: unknown) => T
}

type Values<F> = { [K in keyof F]: F[K] extends Schema<infer T> ? T : never }

export function field<T>(schema: Schema<T>, code: ErrorCode, options: FieldOptions = {}): Field<T> {
  return { ...schema, code, ...options }
}

/**
 * Fields are read in the order of their declaration.
 * @param more further keywords of its JSON Schema; `properties` are added to those of the fields
 */
export function object<F extends Record<string, Field<unknown>>>(
  fields: F,
  { properties, ...more }: JsonSchema = {},
): ObjectSchema<Values<F>> {
  const entries = Object.entries(fields)
  const demanded = entries.flatMap(([name, { missing }]) =>
    missing === undefined ? [] : [{ name, isMissing: isNothing, ...missing }],
  )
  const parse = (given: Fields): Values<F> => {
    for (const { name, isMissing, code, text } of demanded)
      if (isMissing(given[name])) throw new ApiError(code, text)
    const values: Fields = {}
    for (const [name, field] of entries) values[name] = readField(field, name, given)
    return values as Values<F>
  }
  const described = entries.filter(([, field]) => field.undescribed !== true)
  const required = described.filter(
    ([, field]) => field.optional !== true && field.read(undefined) === undefined,
  )
  const json = fieldsOf(
    Object.fromEntries(described),
    required.map(([name]) => name),
  )
  return {
    parse: (value) => parse(asFields(value) ?? {}),
    read: (value) => {
      const given = asFields(value)
      return given === undefined ? undefined : parse(given)
    },
    json: {
      ...json,
      properties: { ...(json.properties as object), ...(properties as object | undefined) },
      ...more,
    },
  }
}

/** The same object, with a further step that checks its fields together. */
export function refine<T, U>(
  { parse, read, json }: ObjectSchema<T>,
  step: (values: T) => U,
): ObjectSchema<U> {
  return {
    parse: (value) => step(parse(value)),
    read: (value) => {
      const values = read(value)
      return values === undefined ? undefined : step(values)
    },
    json,
  }
}

function readField<T>(
  { read, code, text, from, optional }: Field<T>,
  name: string,
  given: Fields,
): T | undefined {
  const value = from === undefined ? given[name] : from(given)
  if (value === undefined && optional === true) return undefined
  const taken = read(value)
  if (taken === undefined) throw new ApiError(code, text)
  return taken
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === ''
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

/** Text that is not blank, with blanks around it. */
function trimmed(maximum: number): string {
  return `^\\s*\\S([\\s\\S]{0,${maximum - 2}}\\S)?\\s*$`
}

/** JSON Schema's patterns have no flags. */
function anyCase(pattern: string): string {
  return pattern.replaceAll('a-f', 'a-fA-F')
}
