/** The values that requests consist of, and their checks. */
import { publicKeyConvert } from 'secp256k1'
import { BoundedMap } from '../lib/boundedMap'
import { ApiError } from './errors'
import { MAX_NAME_LENGTH, type IdentityKey } from './protocol'

/** An object with unknown fields. */
export type Fields = Record<string, unknown>

/** Few, since any client can fill it: about 150 bytes each. */
const MAX_KNOWN_KEYS = 1000
/** Keys that are on the curve, in their canonical form. */
const knownKeys = new BoundedMap<string, true>(MAX_KNOWN_KEYS)

/**
 * An identity key in its canonical form: compressed, lower-case hex. Upper case and the
 * uncompressed form are accepted. Undefined if the value is no public key on the curve.
 */
export function toIdentityKey(value: unknown): IdentityKey | undefined {
  if (typeof value !== 'string') return undefined
  if (knownKeys.has(value)) return value
  if (!KEY_PATTERN.test(value)) return undefined
  try {
    const key = Buffer.from(publicKeyConvert(Buffer.from(value, 'hex'), true)).toString('hex')
    knownKeys.set(key, true)
    return key
  } catch {
    return undefined
  }
}

/** The spelling of a public key. Does not check that it is on the curve. */
export const KEY_PATTERN = /^(0[23][0-9a-f]{64}|04[0-9a-f]{128})$/i

/** @throws ApiError if the fields are nested too deeply to be encoded */
export function toJson(fields: Fields): string {
  try {
    return JSON.stringify(fields)
  } catch {
    throw new ApiError('ERR_INVALID_MESSAGE_BODY', 'What is sent is nested too deeply.')
  }
}

/** Whether a value can be a box name or a message id. */
export function isName(value: unknown): value is string {
  if (typeof value !== 'string' || value.trim() === '' || !isWellFormed(value)) return false
  return (
    value.length <= MAX_NAME_LENGTH ||
    (value.length <= 2 * MAX_NAME_LENGTH && [...value].length <= MAX_NAME_LENGTH)
  )
}

/** Whether UTF-8 can hold a text: it has no half of a surrogate pair. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

export function toList(value: unknown): unknown[] {
  if (value === undefined || value === null || value === '') return []
  return Array.isArray(value) ? value : [value]
}

export function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !Buffer.isBuffer(value)
    ? (value as Fields)
    : undefined
}

/** @returns undefined if the text is not the JSON of an object */
export function parseFields(text: string): Fields | undefined {
  try {
    return asFields(JSON.parse(text))
  } catch {
    return undefined
  }
}

export function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value)
}
