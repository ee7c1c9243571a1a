import type { Limit } from '../config/parsers'

/** Limits how many things each key has, such as connections of an address. */
export class CountLimiter {
  readonly #counts = new Map<string, number>()

  constructor(private readonly limit: Limit) {}

  hasRoom(key: string): boolean {
    return this.limit === undefined || (this.#counts.get(key) ?? 0) < this.limit
  }

  add(key: string): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  remove(key: string): void {
    const left = (this.#counts.get(key) ?? 0) - 1
    if (left > 0) this.#counts.set(key, left)
    else this.#counts.delete(key)
  }
}
