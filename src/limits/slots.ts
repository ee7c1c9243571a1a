/** Limits how many jobs of each key run at once. The others wait in order. */
export class Slots {
  readonly #running = new Map<string, number>()
  readonly #waiting = new Map<string, Array<() => void>>()

  constructor(private readonly maxPerKey: number) {}

  /** @param restMsOf how long the job's slot stays empty afterwards, by the job's result */
  async run<T>(
    key: string,
    work: () => Promise<T>,
    restMsOf: (result: T) => number = () => 0,
  ): Promise<T> {
    await this.#enter(key)
    let restMs = 0
    try {
      const result = await work()
      restMs = restMsOf(result)
      return result
    } finally {
      if (restMs > 0)
        setTimeout(() => {
          this.#leave(key)
        }, restMs).unref()
      else this.#leave(key)
    }
  }

  async #enter(key: string): Promise<void> {
    const running = this.#running.get(key) ?? 0
    if (running < this.maxPerKey) return void this.#running.set(key, running + 1)
    await new Promise<void>((resolve) => {
      const waiting = this.#waiting.get(key)
      if (waiting === undefined) this.#waiting.set(key, [resolve])
      else waiting.push(resolve)
    })
  }

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
