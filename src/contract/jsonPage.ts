const HEAD = '{"status":"success","messages":['
/** For the fields behind the messages. */
const TAIL_BYTES = 256
/** The most bytes of a message's JSON without its id and its body. */
const FRAME_BYTES = 300
/** JSON writes a control character in 6 bytes, as in \u0000. */
const MAX_BYTES_PER_BYTE = 6

/** Each byte within a JSON string. All bytes of longer characters stand for themselves. */
const ESCAPES = Array.from({ length: 256 }, (_, byte) =>
  byte < 0x80
    ? Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1))
    : Buffer.from([byte]),
)
/** How many bytes an escape adds to each byte. */
const EXTRA = Uint8Array.from(ESCAPES, ({ length }) => length - 1)

/** A message of a page of /listMessages. */
export interface ListedMessage {
  /** In UTF-8, as `body`. */
  messageId: Buffer
  /** Hex digits, which need no escapes. */
  sender: string
  body: Buffer
  /** ISO 8601 in UTC, as `updatedAt`. */
  createdAt: string
  updatedAt: string
}

/**
 * The JSON answer with a page of messages. It is written once, both to measure and to send it, and
 * from the bytes that the database returned: strings of them would cost more than all the rest.
 */
export class JsonPage {
  /** Messages so far. */
  count = 0
  /** Bytes written so far. */
  length = 0
  #bytes: Buffer

  /**
   * @param maxBytes of the answer, unless a single message is larger
   * @param expectedBytes of the ids and bodies
   * @param expectedCount of messages
   */
  constructor(
    private readonly maxBytes: number,
    expectedBytes = 0,
    expectedCount = 0,
  ) {
    const expected = HEAD.length + expectedCount * FRAME_BYTES + 1.1 * expectedBytes + TAIL_BYTES
    this.#bytes = Buffer.allocUnsafe(Math.min(maxBytes, Math.ceil(expected)))
    this.#write(HEAD)
  }

  /** @returns false if the message does not fit. The first one always fits. */
  add({ messageId, sender, body, createdAt, updatedAt }: ListedMessage): boolean {
    const frame = FRAME_BYTES + TAIL_BYTES
    const most = this.length + frame + MAX_BYTES_PER_BYTE * (messageId.length + body.length)
    if (most > this.#bytes.length) {
      const needed = this.length + frame + escapedLength(messageId) + escapedLength(body)
      if (needed > this.maxBytes && this.count > 0) return false
      if (needed > this.#bytes.length) this.#grow(needed)
    }
    this.#write(this.count === 0 ? '{"messageId":"' : ',{"messageId":"')
    this.#writeEscaped(messageId)
    this.#write('","body":"')
    this.#writeEscaped(body)
    this.#write(
      `","sender":"${sender}","created_at":"${createdAt}","updated_at":"${updatedAt}",` +
        `"createdAt":"${createdAt}","updatedAt":"${updatedAt}"}`,
    )
    this.count++
    return true
  }

  /**
   * Ends the answer. The page cannot be used afterwards.
   * @param fields behind the messages: at least one, and small
   */
  finish(fields: object): Buffer {
    if (this.#bytes.length < this.length + TAIL_BYTES) this.#grow(this.length + TAIL_BYTES)
    this.#write(`],${JSON.stringify(fields).slice(1)}`)
    return this.#bytes.subarray(0, this.length)
  }

  #write(text: string): void {
    this.length += this.#bytes.write(text, this.length)
  }

  #writeEscaped(text: Buffer): void {
    const bytes = this.#bytes
    let at = this.length
    for (let i = 0; i < text.length; i++) {
      const byte = text[i]!
      if (EXTRA[byte] === 0) bytes[at++] = byte
      else at += ESCAPES[byte]!.copy(bytes, at)
    }
    this.length = at
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafe(
      Math.max(needed, Math.min(this.maxBytes, 2 * this.#bytes.length)),
    )
    this.#bytes.copy(grown, 0, 0, this.length)
    this.#bytes = grown
  }
}

/** The most bytes that a message can take in a page, whatever characters its body contains. */
export function maxListedBytes(body: string): number {
  return FRAME_BYTES + MAX_BYTES_PER_BYTE * body.length
}

function escapedLength(text: Buffer): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) length += EXTRA[text[i]!]!
  return length
}
