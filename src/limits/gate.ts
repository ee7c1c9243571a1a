/** How many requests are worked on at once, in all and from one address; the others are refused at once. */
import { ApiError } from '../contract/errors'
import type { Limit } from '../config/parsers'

/** One address gets this part of the places, but no fewer than the least. */
const SHARE = 0.5
const LEAST_SHARE = 50

export class Gate {
  #working = 0
  readonly #workingFor = new Map<string, number>()
  readonly #share: number

  constructor(private readonly limit: Limit) {
    this.#share = Math.max(LEAST_SHARE, Math.ceil((limit ?? Infinity) * SHARE))
  }

  /** How many requests are being worked on. */
  get working(): number {
    return this.#working
  }

  /**
   * Lets a request in that has arrived whole. How slowly it arrived, and how slowly its answer is read, is not the
   * server's work, so neither counts.
   * @returns a function to call once when the answer is made
   * @throws ApiError ERR_SERVER_BUSY if too many are in
   */
  enter(address: string): () => void {
    const ofAddress = this.#workingFor.get(address) ?? 0
    if (this.limit !== undefined && (this.#working >= this.limit || ofAddress >= this.#share))
      throw new ApiError('ERR_SERVER_BUSY')
    this.#working++
    this.#workingFor.set(address, ofAddress + 1)
    return () => {
      this.#working--
      const left = this.#workingFor.get(address)! - 1
      if (left > 0) this.#workingFor.set(address, left)
      else this.#workingFor.delete(address)
    }
  }
}
