import type { IncomingMessage, ServerResponse } from 'node:http'
import { Slots } from '../limits/slots'

/** How many requests of an address begin in one turn of the event loop: a few ms of work. */
const REQUESTS_PER_TURN = 16
/** How many chunked bodies of an address are read at once. 64 KiB in 1-byte chunks cost 20 ms. */
const CHUNKED_BODIES = 4

/**
 * Lets addresses take turns, so that many requests of one address do not delay those of others.
 * In each turn of the event loop only some requests of an address begin. The others wait.
 */
export class Turns {
  /** How many have begun in this turn, by address. */
  readonly #begun = new Map<string, number>()
  readonly #waiting = new Map<string, Array<() => void>>()
  readonly #chunked = new Slots(CHUNKED_BODIES)
  #scheduled = false

  run(address: string, begin: () => void): void {
    const begun = this.#begun.get(address) ?? 0
    const waiting = this.#waiting.get(address)
    this.#schedule()
    if (waiting !== undefined) {
      waiting.push(begin)
    } else if (begun >= REQUESTS_PER_TURN) {
      this.#waiting.set(address, [begin])
    } else {
      this.#begun.set(address, begun + 1)
      begin()
    }
  }

  /** Reads few chunked bodies of an address at once: they cost far more than their bytes. */
  runChunked(
    address: string,
    { req, res }: { req: IncomingMessage; res: ServerResponse },
    begin: () => void,
  ): void {
    req.socket.pause()
    void this.#chunked.run(address, async () => {
      if (req.socket.destroyed) return
      const arrived = new Promise<void>((resolve) => {
        req.once('end', resolve).once('close', resolve)
        res.once('close', resolve)
      })
      req.socket.resume()
      this.run(address, begin)
      await arrived
    })
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#begun.clear()
      for (const [address, waiting] of [...this.#waiting]) {
        const next = waiting.splice(0, REQUESTS_PER_TURN)
        if (waiting.length === 0) this.#waiting.delete(address)
        this.#begun.set(address, next.length)
        for (const begin of next) begin()
      }
      if (this.#waiting.size > 0) this.#schedule()
    })
  }
}
