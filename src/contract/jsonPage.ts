const HEAD = '{"status":"success","messages":['
/** For the fields behind the items. */
const TAIL_BYTES = 256
/** Bytes in UTF-8 per UTF-16 code unit. */
const MAX_BYTES_PER_UNIT = 3

/** The JSON answer with a page of items. It is written once, both to measure and to send it. */
export class JsonPage {
  /** Bytes written so far. */
  length = 0
  #bytes = Buffer.alloc(0)
  #separator = HEAD

  /**
   * @param maxBytes of the answer, unless a single item is larger
   * @param expectedBytes the first allocation
   */
  constructor(
    private readonly maxBytes: number,
    private readonly expectedBytes = 0,
  ) {}

  /**
   * Adds an item, or several with commas between them.
   * @returns false if it does not fit. The first one always fits.
   */
  add(json: string): boolean {
    const start = this.length + this.#separator.length
    const most = start + MAX_BYTES_PER_UNIT * json.length + TAIL_BYTES
    const needed = most <= this.#bytes.length ? most : start + Buffer.byteLength(json) + TAIL_BYTES
    if (needed > this.maxBytes && this.length > 0) return false
    if (needed > this.#bytes.length) this.#grow(needed)
    this.#write(this.#separator)
    this.#write(json)
    this.#separator = ','
    return true
  }

  /**
   * Ends the answer. The page cannot be used afterwards.
   * @param fields behind the items: at least one, and small
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
