/** How far the wall clock may move against the monotonic one: more than usual corrections. */
const TOLERANCE_MS = 10_000
/** A new time is trusted after the wall clock has been steady for this long. */
const SETTLING_MS = 60 * 60 * 1000

/** The system's time, and the time that it has been running. Both in milliseconds. */
export interface Clocks {
  wall: () => number
  monotonic: () => number
}

const SYSTEM: Clocks = { wall: () => Date.now(), monotonic: () => performance.now() }

/** Detects jumps of the wall clock: one that jumps ahead must not make messages look old. */
export class WallClock {
  /** The trusted difference between the two clocks. */
  #trusted: number
  /** A new difference, and the monotonic time since when the wall clock has kept it. */
  #candidate: { difference: number; since: number } | undefined

  constructor(private readonly clocks = SYSTEM) {
    this.#trusted = this.#difference()
  }

  /** The time in milliseconds since 1970. Undefined while the wall clock cannot be trusted. */
  now(): number | undefined {
    const difference = this.#difference()
    if (isNear(difference, this.#trusted)) {
      this.#candidate = undefined
      return this.clocks.wall()
    }
    const since = this.clocks.monotonic()
    if (this.#candidate === undefined || !isNear(difference, this.#candidate.difference))
      this.#candidate = { difference, since }
    if (since - this.#candidate.since < SETTLING_MS) return undefined
    this.#trusted = difference
    return this.clocks.wall()
  }

  #difference(): number {
    return this.clocks.wall() - this.clocks.monotonic()
  }
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= TOLERANCE_MS
}
