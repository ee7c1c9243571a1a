/** JSON that clients send: what it costs to parse depends on what it holds, not only on its length. */
import { isUtf8 } from 'node:buffer'
import { ApiError } from '../contract/errors'

/** The most objects, arrays and keys together, and the most commas outside of texts. */
const MAX_JSON_PARTS = 256 * 1024
const MAX_JSON_VALUES = 2 * 1024 * 1024
/** Some programs write it before a text in UTF-8. */
const BOM = Buffer.from('\ufeff')
/** Shorter texts cannot hold too much. */
const SHORT_BYTES = 64 * 1024
const SHORT_TEXT = 64

/** @throws ApiError ERR_INVALID_JSON, ERR_JSON_TOO_COMPLEX */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new ApiError('ERR_INVALID_JSON')
  if (bytes.length > SHORT_BYTES) checkComplexity(bytes)
  try {
    return JSON.parse(
      bytes.toString('utf8', bytes.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0),
    )
  } catch {
    throw new ApiError('ERR_INVALID_JSON')
  }
}

const [QUOTE, BACKSLASH, COMMA, COLON, BRACKET, BRACE] = Buffer.from('"\\,:[{')

/** Counts what is outside of texts. Of what is no JSON the count means nothing, and parsing it stops soon. */
function checkComplexity(bytes: Buffer): void {
  let parts = 0
  let values = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) at = endOfText(bytes, at)
    else if (byte === COMMA) values++
    else if (byte === COLON || byte === BRACKET || byte === BRACE) parts++
    if (parts > MAX_JSON_PARTS || values > MAX_JSON_VALUES)
      throw new ApiError('ERR_JSON_TOO_COMPLEX')
  }
}

/**
 * Byte by byte, since a search costs more than a short text has. Long ones are mostly plain to their end, which one
 * search finds.
 * @returns where the quote stands that ends a text; the end of the bytes if none does
 */
function endOfText(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (at === start + SHORT_TEXT) {
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
