import { endsWithin } from '../lib/timeout'

export interface Bounds {
  /** How many items are worked on at once. */
  working: number
  /** How many items may wait. */
  waiting: number
  /** How many items of one owner may wait. */
  waitingOfOne: number
}

/** Works on items in order, several at once, with a limited number of waiting items. */
export class Queue<T> {
  readonly #waiting: Array<{ owner: string; item: T }> = []
  /** How many items wait, by owner. */
  readonly #shares = new Map<string, number>()
  readonly #runs = new Set<Promise<void>>()
  #closed = false

  /** @param work never rejects */
  constructor(
    private readonly work: (item: T) => Promise<void>,
    private readonly bounds: Bounds,
  ) {}

  /** @returns false if the queue is full or closed */
  add(owner: string, item: T): boolean {
    if (this.#closed) return false
    if (this.#runs.size < this.bounds.working) {
      const run = this.#run(item).finally(() => {
        this.#runs.delete(run)
      })
      this.#runs.add(run)
      return true
    }
    const share = this.#shares.get(owner) ?? 0
    if (this.#waiting.length >= this.bounds.waiting || share >= this.bounds.waitingOfOne)
      return false
    this.#waiting.push({ owner, item })
    this.#shares.set(owner, share + 1)
    return true
  }

  /**
   * Drops waiting items, and waits for the others until the timeout.
   * @returns how many items were dropped or have not ended
   */
  async close(timeoutMs: number): Promise<number> {
    this.#closed = true
    const dropped = this.#waiting.splice(0).length
    await endsWithin(Promise.all(this.#runs), timeoutMs)
    return dropped + this.#runs.size
  }

  async #run(first: T): Promise<void> {
    for (let item: T | undefined = first; item !== undefined; item = this.#next())
      await this.work(item)
  }

  #next(): T | undefined {
    const next = this.#waiting.shift()
    if (next === undefined) return undefined
    const share = this.#shares.get(next.owner)! - 1
    if (share > 0) this.#shares.set(next.owner, share)
    else this.#shares.delete(next.owner)
    return next.item
  }
}
