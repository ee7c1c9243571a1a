/** How many requests of one address begin in one turn of the event loop: a few milliseconds of work. */
const A_TURN = 16

/**
 * Lets addresses take turns, so that the requests which one of them sends all at once do not hold up the others'.
 * In each turn of the event loop only some of an address's requests begin; the others wait for the next one.
 */
export class Turns {
  /** How many have begun in this turn, by address. */
  readonly #begun = new Map<string, number>()
  readonly #waiting = new Map<string, Array<() => void>>()
  #scheduled = false

  run(address: string, begin: () => void): void {
    const begun = this.#begun.get(address) ?? 0
    const waiting = this.#waiting.get(address)
    this.#schedule()
    if (waiting !== undefined) {
      waiting.push(begin)
    } else if (begun >= A_TURN) {
      this.#waiting.set(address, [begin])
    } else {
      this.#begun.set(address, begun + 1)
      begin()
    }
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#begun.clear()
      for (const [address, waiting] of [...this.#waiting]) {
        const next = waiting.splice(0, A_TURN)
        if (waiting.length === 0) this.#waiting.delete(address)
        this.#begun.set(address, next.length)
        for (const begin of next) begin()
      }
      if (this.#waiting.size > 0) this.#schedule()
    })
  }
}
