import { ApiError } from '../contract/errors'
import type { Limit } from '../config/parsers'

/** The part of the limit for one address, but at least `MIN_SHARE` requests. */
const SHARE_RATIO = 0.5
const MIN_SHARE = 50

/** Limits how many requests are worked on at once, in total and of one address. */
export class Gate {
  #working = 0
  readonly #workingFor = new Map<string, number>()
  readonly #share: number

  constructor(private readonly limit: Limit) {
    this.#share = Math.max(MIN_SHARE, Math.ceil((limit ?? Infinity) * SHARE_RATIO))
  }

  get working(): number {
    return this.#working
  }

  /**
   * Counts a request that has arrived whole, until its answer is ended. The time it takes to send
   * either over the network does not count.
   * @returns a function to call once when the answer is ended
   * @throws ApiError ERR_SERVER_BUSY over the limit
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
