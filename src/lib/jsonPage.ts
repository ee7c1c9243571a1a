/** A page of items as the JSON answer that it is part of: written once, to measure it and to send it. */

const HEAD = '{"status":"success","messages":['
/** Room for what stands behind the items, in bytes. */
const TAIL_BYTES = 256
/** A UTF-16 unit takes at most so many bytes in UTF-8. */
const MAX_BYTES_A_UNIT = 3

export class JsonPage {
  /** How many bytes are written so far. */
  length = 0
  #bytes = Buffer.alloc(0)
  #separator = HEAD

  /**
   * @param maxBytes of the answer, unless a single item has more
   * @param expectedBytes for so many there is room from the beginning
   */
  constructor(
    private readonly maxBytes: number,
    private readonly expectedBytes = 0,
  ) {}

  /**
   * Writes an item behind those before it.
   * @param json one item, or several with commas between them
   * @returns false if it does not fit; the first one always does
   */
  add(json: string): boolean {
    const start = this.length + this.#separator.length
    const most = start + MAX_BYTES_A_UNIT * json.length + TAIL_BYTES
    const needed = most <= this.#bytes.length ? most : start + Buffer.byteLength(json) + TAIL_BYTES
    if (needed > this.maxBytes && this.length > 0) return false
    if (needed > this.#bytes.length) this.#grow(needed)
    this.#write(this.#separator)
    this.#write(json)
    this.#separator = ','
    return true
  }

  /**
   * Ends the answer; the page is of no use afterwards.
   * @param fields what stands behind the items; not empty, and small
   */
  finish(fields: object): Buffer {
    if (this.length === 0) this.add('')
    this.#write(`],${JSON.stringify(fields).slice(1)}`)
    return this.#bytes.subarray(0, this.length)
  }

  #write(text: string): void {
    this.length += this.#bytes.write(text, this.length)
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafe(
      Math.max(needed, this.expectedBytes, Math.min(this.maxBytes, 2 * this.#bytes.length)),
    )
    this.#bytes.copy(grown, 0, 0, this.length)
    this.#bytes = grown
  }
}
