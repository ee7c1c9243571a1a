/**
 * Work that is done one after the other, and for whom it is done in turns: whoever has much to do waits for itself, and
 * not everybody else for it.
 */
export class FairQueue {
  readonly #waiting = new Map<string, Array<() => Promise<unknown>>>()
  #size = 0
  #running = false

  /** How many wait, and the one whose turn it is. */
  get size(): number {
    return this.#size
  }

  /** How many of one owner's wait, with the one whose turn it is. */
  sizeOf(owner: string): number {
    return this.#waiting.get(owner)?.length ?? 0
  }

  /** Does something when it is its owner's turn. */
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
      // What the owner has brought meanwhile waits behind everybody else.
      const [, ...later] = this.#waiting.get(owner)!
      this.#waiting.delete(owner)
      if (later.length > 0) this.#waiting.set(owner, later)
    }
    this.#running = false
  }
}
