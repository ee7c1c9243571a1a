/** How many requests are worked on at once; the rest is told so at once, rather than kept waiting. */
import type { ServerResponse } from 'node:http'
import { ApiError } from '../errors'
import type { Limit } from '../settings'
import { whenDone } from '../work'

export class Gate {
  #working = 0

  constructor (private readonly limit: Limit) {}

  /** How many requests are being worked on. */
  get working (): number {
    return this.#working
  }

  /**
   * Lets a request in, which has arrived whole, until its answer is made. How slowly it came, and how slowly its
   * answer is taken, is not the server's work: whoever dawdles must not shut others out.
   * @throws ApiError ERR_SERVER_BUSY where too many are in
   */
  enter (res: ServerResponse): void {
    if (this.limit !== undefined && this.#working >= this.limit) {
      throw new ApiError('ERR_SERVER_BUSY')
    }
    this.#working++
    whenDone(res, () => { this.#working-- })
  }
}
