import type { SharedRedis } from '../lib/redis'
import { WINDOW_MS, type Count, type SharedCounts } from './rates'

/** The counts of all nodes, in Redis. */
export class RedisCounts implements SharedCounts {
  constructor(private readonly redis: SharedRedis) {}

  async add(name: string, key: string, points: number): Promise<Count | undefined> {
    const redisKey = this.redis.key(`rate:${name}:${key}`)
    return await this.redis.attempt('rates', async (client) => {
      const [count, , waitMs] = (await client
        .multi()
        .incrBy(redisKey, points)
        .pExpire(redisKey, WINDOW_MS, 'NX')
        .pTTL(redisKey)
        .exec()) as unknown as [number, number, number]
      return { points: count, waitMs: Math.max(1, waitMs) }
    })
  }
}
