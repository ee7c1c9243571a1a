/** How often somebody may ask: so many times in a minute that begins with the first. */
import { RateLimiterMemory, RateLimiterRedis, type RateLimiterRes } from 'rate-limiter-flexible'
import { ApiError } from '../errors'
import type { SharedRedis } from '../redis'
import type { Limit } from '../settings'

export interface RateLimiter {
  /**
   * Counts one request under a key.
   * @throws ApiError ERR_RATE_LIMITED, which tells when to come back, beyond the limit
   */
  consume: (key: string) => Promise<void>
}

/** In seconds. */
const WINDOW = 60

/** Nobody is counted. */
export const unlimited: RateLimiter = { consume: async () => {} }

/**
 * @param name under which the nodes share the counts; they count for themselves where Redis is away, or there is none
 * @param limit requests a minute
 */
export function createRateLimiter (name: string, limit: Limit, redis?: SharedRedis): RateLimiter {
  if (limit === undefined) return unlimited
  const alone = new RateLimiterMemory({ points: limit, duration: WINDOW })
  if (redis === undefined) return { consume: async key => { refuse(limit, await count(alone, key)) } }
  const shared = new RateLimiterRedis({
    storeClient: redis.client,
    useRedisPackage: true,
    keyPrefix: redis.key(`rate:${name}`),
    points: limit,
    duration: WINDOW,
    // Whoever is over the limit is refused without asking Redis again.
    inMemoryBlockOnConsumed: limit + 1
  })
  return {
    async consume (key) {
      refuse(limit, await redis.attempt('rates', async () => await count(shared, key)) ?? await count(alone, key))
    }
  }
}

/** How long to wait, in milliseconds; 0 where there is no need to. */
type Wait = number

/** The library rejects with a result where the limit is exceeded, and with an Error where it cannot tell. */
async function count (limiter: RateLimiterMemory | RateLimiterRedis, key: string): Promise<Wait> {
  try {
    await limiter.consume(key)
    return 0
  } catch (result) {
    if (result instanceof Error) throw result
    return Math.max(1, Math.ceil((result as RateLimiterRes).msBeforeNext))
  }
}

function refuse (limit: number, retryAfterMs: Wait): void {
  if (retryAfterMs === 0) return
  throw new ApiError('ERR_RATE_LIMITED', `More than ${limit} requests in a minute: wait for ${retryAfterMs} milliseconds.`, { limit, retryAfterMs },
    { headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) } })
}
