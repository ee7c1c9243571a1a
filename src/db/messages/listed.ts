/** How long messages become in the JSON of a list. */

/** The longest body, in bytes as JSON. Newer clients accept answers of up to 16 MiB, with what stands around the body. */
export const MAX_LISTED_BYTES = 16 * 1024 * 1024 - 8 * 1024

/** What stands around the id and the body of a message, in bytes. */
const MESSAGE_FRAME_BYTES = 512
/** A control character, as JSON writes it. */
const MAX_BYTES_A_CHARACTER = 6

/** The most bytes that a message can take in a list, whatever it holds. */
export function mostListedBytes(messageId: string, body: string): number {
  return MESSAGE_FRAME_BYTES + MAX_BYTES_A_CHARACTER * (messageId.length + body.length)
}

/** How many bytes a body takes in a list. */
export function listedBytes(body: string): number {
  return Buffer.byteLength(JSON.stringify(body))
}
