/** How much work a key may cause: so many points in a minute that begins with the first. */
import { ApiError } from '../contract/errors'
import type { SharedRedis } from '../lib/redis'
import type { Limit } from '../config/parsers'

export interface RateLimiter {
  /**
   * Counts work on this node at once, and with the other nodes if there are any. Zero points only look.
   * @returns nothing if the answer is known at once; otherwise a promise that rejects as this function throws
   * @throws ApiError ERR_RATE_LIMITED beyond the limit; it says when to come back
   */
  consume: (key: string, points?: number) => void | Promise<void>
  /** Counts work that is done already. */
  charge: (key: string, points: number) => void
  /** Whether a key goes on far beyond its limit, so that even refusals cost too much. */
  isFlooding: (key: string) => boolean
}

const WINDOW_MS = 60_000
/** A key is refused politely this many times a minute, and as often again as its limit allows, */
const TOLERATED_REFUSALS = 1000
/** unless what it has caused by then comes to so many times its limit. */
const TOLERATED_POINTS = 2
/** How many keys are counted at once, at about 150 bytes each. Beyond it, those that began first are forgotten. */
const MAX_KEYS = 200_000

/** For a limit that is off. */
export const unlimited: RateLimiter = { consume() {}, charge() {}, isFlooding: () => false }

/**
 * @param name under which the nodes share the counts; each counts alone while Redis is away, or if there is none
 * @param limit points a minute
 * @param describe what a client beyond the limit has done
 */
export function createRateLimiter(
  name: string,
  limit: Limit,
  redis?: SharedRedis,
  describe: (limit: number) => string = describeRequests,
): RateLimiter {
  if (limit === undefined) return unlimited
  const own = new Counts()
  const refusal = (waitMs: number): ApiError => createRefusal(limit, waitMs, describe)
  const shared = redis === undefined ? undefined : new SharedCounts(redis, name)

  const consumeShared = async (key: string, points: number): Promise<void> => {
    const counted = await shared!.add(key, points)
    if (counted === undefined || counted.points <= limit) return
    const before = counted.points - points
    // Nothing is done for what is refused.
    own.add(key, -points)
    // Once its minute is used up, the key is refused without another question until it is over.
    if (before >= limit) own.raise(key, limit, counted.waitMs)
    else void shared!.add(key, -points)
    throw refusal(counted.waitMs)
  }

  return {
    consume(key, points = 1) {
      const { fits, waitMs } = own.take(key, points, limit)
      if (!fits) throw refusal(waitMs)
      // To look costs no question: what other nodes have counted is known as soon as it matters.
      return shared === undefined || points === 0 ? undefined : consumeShared(key, points)
    },
    charge(key, points) {
      own.add(key, points)
      void shared?.add(key, points)
    },
    isFlooding: (key) => own.isBeyond(key, limit * TOLERATED_POINTS, limit + TOLERATED_REFUSALS),
  }
}

interface Entry {
  points: number
  refusals: number
  /** When the minute ends, on the clock of `performance.now()`. */
  until: number
}

/** The counts of this process. */
class Counts {
  /** In the order in which their minutes began, so the first ones end first. */
  readonly #entries = new Map<string, Entry>()

  /** Counts points if they fit into the limit, all or none. */
  take(key: string, points: number, limit: number): { fits: boolean; waitMs: number } {
    const now = performance.now()
    const entry = this.#entry(key, now)
    const fits = entry.points + points <= limit
    if (fits) entry.points += points
    else entry.refusals++
    return { fits, waitMs: entry.until - now }
  }

  add(key: string, points: number): void {
    this.#entry(key, performance.now()).points += points
  }

  isBeyond(key: string, points: number, refusals: number): boolean {
    const entry = this.#entries.get(key)
    return (
      entry !== undefined &&
      entry.until > performance.now() &&
      (entry.points > points || entry.refusals > refusals)
    )
  }

  /** Sets a count that other nodes have brought about. */
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
    const entry = { points: 0, refusals: 0, until: now + WINDOW_MS }
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

/** The counts of all nodes, in Redis. */
class SharedCounts {
  constructor(
    private readonly redis: SharedRedis,
    private readonly name: string,
  ) {}

  /** @returns what is counted now, and when its minute ends; undefined if Redis is away */
  async add(key: string, points: number): Promise<{ points: number; waitMs: number } | undefined> {
    const name = this.redis.key(`rate:${this.name}:${key}`)
    return await this.redis.attempt('rates', async (client) => {
      const [count, , waitMs] = (await client
        .multi()
        .incrBy(name, points)
        .pExpire(name, WINDOW_MS, 'NX')
        .pTTL(name)
        .exec()) as unknown as [number, number, number]
      return { points: count, waitMs: Math.max(1, waitMs) }
    })
  }
}

function describeRequests(limit: number): string {
  return `More than ${limit} requests in a minute`
}

function createRefusal(
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
