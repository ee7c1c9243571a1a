/** Parses JSON of clients. Its cost depends on the number of values, not only on its length. */
import { isUtf8 } from 'node:buffer'
import { ApiError } from '../contract/errors'
import { MAX_JSON_PARTS, MAX_JSON_VALUES } from '../contract/protocol'

/** Some programs write it before UTF-8. */
const BOM = Buffer.from('\ufeff')
/** Shorter JSON cannot be too complex. */
const UNCHECKED_BYTES = 64 * 1024
const SHORT_STRING_BYTES = 64

/** @throws ApiError ERR_INVALID_JSON, ERR_JSON_TOO_COMPLEX */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new ApiError('ERR_INVALID_JSON')
  if (bytes.length > UNCHECKED_BYTES) checkComplexity(bytes)
  try {
    return JSON.parse(
      bytes.toString('utf8', bytes.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0),
    )
  } catch {
    throw new ApiError('ERR_INVALID_JSON')
  }
}

const [QUOTE, BACKSLASH, COMMA, COLON, BRACKET, BRACE] = Buffer.from('"\\,:[{')

/** Counts outside of strings. For invalid JSON the count is wrong, but parsing that stops soon. */
function checkComplexity(bytes: Buffer): void {
  let parts = 0
  let values = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) at = endOfString(bytes, at)
    else if (byte === COMMA) values++
    else if (byte === COLON || byte === BRACKET || byte === BRACE) parts++
    if (parts > MAX_JSON_PARTS || values > MAX_JSON_VALUES)
      throw new ApiError('ERR_JSON_TOO_COMPLEX')
  }
}

/**
 * Looks at each byte of a short string, for which `indexOf` costs more. In long strings `indexOf`
 * usually finds the end at once.
 * @returns the index of the closing quote, or the length of the bytes if there is none
 */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (at === start + SHORT_STRING_BYTES) {
      const quote = bytes.indexOf(QUOTE!, at)
      if (quote < 0) return bytes.length
      if (bytes[quote - 1] !== BACKSLASH) return quote
    }
    const byte = bytes[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at++
  }
  return bytes.length
}
