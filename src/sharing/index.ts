/** What the nodes of a service, or the workers of a server, share. */
import type { Logger } from 'pino'
import { MemoryReplayGuard, type ReplayGuard } from '../auth/replay'
import { SharedReplayGuard } from '../auth/sharedReplay'
import type { JoinFanout } from '../fanout'
import { MemoryBus } from '../fanout/memory'
import type { Secret } from '../lib/secret'
import type { SharedCounts } from '../limits/rates'

export interface Sharing {
  /** Tells the others of stored messages. */
  joinFanout: JoinFanout
  /** The rates that are counted together; undefined if there are no others. */
  counts: SharedCounts | undefined
  /** Remembers the nonces that all of them have seen. */
  replayGuard: ReplayGuard
  /** Whether the others can be reached; always true if there are none. */
  readonly up: boolean
  usesRedis: boolean
  close: () => void
}

/** The sharing of a process that is alone. */
export function shareNothing(): Sharing {
  return {
    joinFanout: new MemoryBus().join,
    counts: undefined,
    replayGuard: new MemoryReplayGuard(),
    up: true,
    usesRedis: false,
    close() {},
  }
}

/** @param namespace so that servers of other identities can use the same Redis */
export function shareThroughRedis(url: Secret, namespace: string, logger: Logger): Sharing {
  // Loaded here, so that the client of Redis takes no memory on a single node.
  const { SharedRedis } = require('../lib/redis') as typeof import('../lib/redis')
  const { RedisFanout } = require('../fanout/redis') as typeof import('../fanout/redis')
  const { RedisCounts } = require('../limits/redisCounts') as typeof import('../limits/redisCounts')
  const { RedisNonces } = require('../auth/redisNonces') as typeof import('../auth/redisNonces')
  const redis = new SharedRedis(url, namespace, logger)
  return {
    joinFanout: (deliver) => new RedisFanout(redis, deliver, logger),
    counts: new RedisCounts(redis),
    replayGuard: new SharedReplayGuard(new MemoryReplayGuard(), new RedisNonces(redis)),
    get up() {
      return redis.up
    },
    usesRedis: true,
    close: () => {
      redis.close()
    },
  }
}
