/** Runs work of each key, so much of it at once and the rest in order. A place may rest after what was large. */
export class Slots {
  readonly #running = new Map<string, number>()
  readonly #waiting = new Map<string, Array<() => void>>()

  /** @param each how much work of one key runs at once */
  constructor(private readonly each: number) {}

  /** @param restOf for how many milliseconds the place of the work stays empty, by what came of it */
  async run<T>(
    key: string,
    work: () => Promise<T>,
    restOf: (result: T) => number = () => 0,
  ): Promise<T> {
    await this.#enter(key)
    let rest = 0
    try {
      const result = await work()
      rest = restOf(result)
      return result
    } finally {
      if (rest > 0)
        setTimeout(() => {
          this.#leave(key)
        }, rest).unref()
      else this.#leave(key)
    }
  }

  async #enter(key: string): Promise<void> {
    const running = this.#running.get(key) ?? 0
    if (running < this.each) return void this.#running.set(key, running + 1)
    await new Promise<void>((resolve) => {
      const waiting = this.#waiting.get(key)
      if (waiting === undefined) this.#waiting.set(key, [resolve])
      else waiting.push(resolve)
    })
  }

  /** What waits takes the place over. */
  #leave(key: string): void {
    const waiting = this.#waiting.get(key)
    const next = waiting?.shift()
    if (waiting?.length === 0) this.#waiting.delete(key)
    if (next !== undefined) return next()
    const left = this.#running.get(key)! - 1
    if (left > 0) this.#running.set(key, left)
    else this.#running.delete(key)
  }
}
