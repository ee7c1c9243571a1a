/** Limits the points of a key in a minute, which begins with the key's first point. */
import { ApiError } from '../contract/errors'
import type { Limit } from '../config/parsers'

export interface RateLimiter {
  /**
   * Counts work in this process, and with other nodes or workers if there are any. 0 points only
   * check.
   * @returns undefined if this process can tell; else a promise, which rejects with the same error
   * @throws ApiError ERR_RATE_LIMITED over the limit, with the time to wait
   */
  consume: (key: string, points?: number) => void | Promise<void>
  /** Counts work that is done. */
  charge: (key: string, points: number) => void
  /** Whether a key is so far over its limit that even error responses cost too much. */
  isFlooding: (key: string) => boolean
}

/** Counts that nodes, or workers, keep together. */
export interface SharedCounts {
  /**
   * Adds points to those of a key, which may be negative.
   * @param name of the limit
   * @param isAwaited whether a client waits for the answer
   * @returns undefined if the others cannot be reached
   */
  add: (name: string, key: string, points: number, isAwaited: boolean) => Promise<Count | undefined>
}

export interface Count {
  points: number
  /** When the key's minute ends, from now. */
  waitMs: number
}

export const WINDOW_MS = 60_000
/**
 * Below this part of its limit a key does not wait for the shared count, if that was heard lately.
 * A burst at several processes at once may exceed the limit before they hear of each other.
 */
const UNHURRIED_RATIO = 0.5
const HEARD_LATELY_MS = 1000
/** A key floods the server after this many rejections in a minute, and as many as its limit. */
const TOLERATED_REJECTIONS = 1000
/** It also floods the server with this many times the points of its limit. */
const TOLERATED_POINTS_FACTOR = 2
/** About 150 bytes each. Over it, the oldest keys are forgotten. */
const MAX_KEYS = 200_000

/** The limiter of a limit that is off. */
export const unlimited: RateLimiter = { consume() {}, charge() {}, isFlooding: () => false }

/**
 * @param name of the limit in the shared counts
 * @param limit points a minute
 * @param shared if undefined, this process counts alone
 * @param describe what a client over the limit has done
 */
export function createRateLimiter(
  name: string,
  limit: Limit,
  shared?: SharedCounts,
  describe: (limit: number) => string = describeRequests,
): RateLimiter {
  if (limit === undefined) return unlimited
  const own = new Counts()
  const overLimit = (waitMs: number): ApiError => createRateError(limit, waitMs, describe)

  const addShared = async (
    key: string,
    points: number,
    isAwaited: boolean,
  ): Promise<Count | undefined> => {
    const counted = await shared!.add(name, key, points, isAwaited)
    if (counted !== undefined) own.hear(key, counted.points)
    return counted
  }

  const consumeShared = async (key: string, points: number): Promise<void> => {
    const counted = await addShared(key, points, true)
    if (counted === undefined || counted.points <= limit) return
    const before = counted.points - points
    // Rejected work is not done.
    own.add(key, -points)
    // Over the common limit, this process rejects the key by itself until the minute ends.
    if (before >= limit) own.raise(key, limit, counted.waitMs)
    else void shared!.add(name, key, -points, false)
    throw overLimit(counted.waitMs)
  }

  /** Adds to the shared count, which no client waits for. */
  const report = async (key: string, points: number): Promise<void> => {
    const counted = await addShared(key, points, false)
    if (counted !== undefined && counted.points >= limit) own.raise(key, limit, counted.waitMs)
  }

  return {
    consume(key, points = 1) {
      const { fits, waitMs } = own.take(key, points, limit)
      if (!fits) throw overLimit(waitMs)
      // A check asks no other process: `raise` has set what they have counted.
      if (shared === undefined || points === 0) return undefined
      if (!own.countIfBelow(key, points, limit * UNHURRIED_RATIO)) return consumeShared(key, points)
      void report(key, points)
      return undefined
    },
    charge(key, points) {
      own.add(key, points)
      if (shared !== undefined) void report(key, points)
    },
    isFlooding: (key) =>
      own.isBeyond(key, limit * TOLERATED_POINTS_FACTOR, limit + TOLERATED_REJECTIONS),
  }
}

interface Entry {
  points: number
  rejections: number
  /** What was heard of the count of all processes, and when. */
  shared: number
  heardAt: number
  /** When the minute ends, on the clock of `performance.now()`. */
  until: number
}

export class Counts {
  /** In the order in which their minutes begin and end. */
  readonly #entries = new Map<string, Entry>()

  /** Counts the points unless they exceed the limit. */
  take(key: string, points: number, limit: number): { fits: boolean; waitMs: number } {
    const now = performance.now()
    const entry = this.#entry(key, now)
    const fits = entry.points + points <= limit
    if (fits) entry.points += points
    else entry.rejections++
    return { fits, waitMs: entry.until - now }
  }

  add(key: string, points: number): Count {
    const now = performance.now()
    const entry = this.#entry(key, now)
    entry.points += points
    return { points: entry.points, waitMs: entry.until - now }
  }

  isBeyond(key: string, points: number, rejections: number): boolean {
    const entry = this.#entries.get(key)
    return (
      entry !== undefined &&
      entry.until > performance.now() &&
      (entry.points > points || entry.rejections > rejections)
    )
  }

  /** Notes the count of all processes. */
  hear(key: string, points: number): void {
    const now = performance.now()
    const entry = this.#entry(key, now)
    entry.shared = Math.max(entry.shared, points)
    entry.heardAt = now
  }

  /**
   * Whether the count of all processes was heard lately, and points may be added to it up to a
   * maximum. If so, counts them in what was heard.
   */
  countIfBelow(key: string, points: number, most: number): boolean {
    const now = performance.now()
    const entry = this.#entry(key, now)
    if (now - entry.heardAt > HEARD_LATELY_MS || entry.shared + points > most) return false
    entry.shared += points
    return true
  }

  /** Raises a count to that of all nodes. */
  raise(key: string, points: number, waitMs: number): void {
    const now = performance.now()
    const entry = this.#entry(key, now)
    entry.points = Math.max(entry.points, points)
    entry.until = Math.min(entry.until, now + waitMs)
  }

  #entry(key: string, now: number): Entry {
    const known = this.#entries.get(key)
    if (known !== undefined && known.until > now) return known
    this.#entries.delete(key)
    const entry = {
      points: 0,
      rejections: 0,
      shared: 0,
      heardAt: -Infinity,
      until: now + WINDOW_MS,
    }
    this.#entries.set(key, entry)
    this.#forget(now)
    return entry
  }

  #forget(now: number): void {
    for (const [key, { until }] of this.#entries) {
      if (until > now && this.#entries.size <= MAX_KEYS) return
      this.#entries.delete(key)
    }
  }
}

function describeRequests(limit: number): string {
  return `More than ${limit} requests in a minute`
}

function createRateError(
  limit: number,
  waitMs: number,
  describe: (limit: number) => string,
): ApiError {
  const retryAfterMs = Math.max(1, Math.ceil(waitMs))
  return new ApiError(
    'ERR_RATE_LIMITED',
    `${describe(limit)}: wait for ${retryAfterMs} milliseconds.`,
    { limit, retryAfterMs },
    { headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) } },
  )
}
