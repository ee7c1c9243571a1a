/** How far the wall clock may run away from the monotonic one: more than it is ever corrected by. */
const TOLERANCE_MS = 10_000
/** A new time is believed when the wall clock has kept to it for so long. */
const SETTLING_MS = 60 * 60 * 1000

/** Two clocks: what the system says the time is, and how long it has been running. Both in milliseconds. */
export interface Clocks {
  wall: () => number
  monotonic: () => number
}

const SYSTEM: Clocks = { wall: () => Date.now(), monotonic: () => performance.now() }

/** Tells whether the wall clock can be believed: a clock that jumps ahead for a minute must not make messages look old. */
export class WallClock {
  /** The difference between the two clocks that is believed. */
  #believed: number
  /** Another difference that the wall clock has kept to, and since when. */
  #candidate: { difference: number; since: number } | undefined

  constructor(private readonly clocks = SYSTEM) {
    this.#believed = this.#difference()
  }

  /** The time in milliseconds since 1970; undefined while the wall clock cannot be believed. */
  now(): number | undefined {
    const difference = this.#difference()
    if (isNear(difference, this.#believed)) {
      this.#candidate = undefined
      return this.clocks.wall()
    }
    const since = this.clocks.monotonic()
    if (this.#candidate === undefined || !isNear(difference, this.#candidate.difference))
      this.#candidate = { difference, since }
    if (since - this.#candidate.since < SETTLING_MS) return undefined
    this.#believed = difference
    return this.clocks.wall()
  }

  #difference(): number {
    return this.clocks.wall() - this.clocks.monotonic()
  }
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= TOLERANCE_MS
}
