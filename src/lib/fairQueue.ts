/** Runs one job at a time. Owners take turns, so an owner with many jobs does not delay others. */
export class FairQueue {
  readonly #waiting = new Map<string, Array<() => Promise<unknown>>>()
  #size = 0
  #running = false

  /** How many jobs wait or run. */
  get size(): number {
    return this.#size
  }

  /** How many jobs of an owner wait or run. */
  sizeOf(owner: string): number {
    return this.#waiting.get(owner)?.length ?? 0
  }

  async run<T>(owner: string, work: () => Promise<T>): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      const mine = this.#waiting.get(owner) ?? []
      this.#waiting.set(owner, [
        ...mine,
        async () => {
          await work().then(resolve, reject)
        },
      ])
      this.#size++
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    for (
      let next = this.#waiting.entries().next();
      !next.done;
      next = this.#waiting.entries().next()
    ) {
      const [owner, [work]] = next.value
      await work!()
      this.#size--
      // The owner's other jobs wait behind all other owners.
      const [, ...later] = this.#waiting.get(owner)!
      this.#waiting.delete(owner)
      if (later.length > 0) this.#waiting.set(owner, later)
    }
    this.#running = false
  }
}
