/**
 * The nonces that any node has seen recently, in Redis, at 8 bytes each.
 *
 * Nonces are numbers of 64 bits, spread over many small sets, which Redis stores as arrays of
 * integers. A set that is full, or as old as the window, replaces the previous set in its place.
 * This limits memory to about 130 MB, and remembers each nonce for the window, or for eight million
 * others.
 */
import { createHash } from 'node:crypto'
import type { SharedRedis } from '../lib/redis'
import { REPLAY_WINDOW_MS } from './replay'
import type { SharedNonces } from './sharedReplay'

const SETS = 1 << 14
/** Redis stores sets up to this size as arrays. */
const SET_SIZE = 512

/**
 * KEYS: the set, the previous set. ARGV: the nonce, the window in milliseconds, the size of a set.
 * Returns 1 if new.
 */
const REMEMBER = `
if redis.call('sismember', KEYS[2], ARGV[1]) == 1 then return 0 end
local left = redis.call('pttl', KEYS[1])
if left >= 0 and left < tonumber(ARGV[2]) or redis.call('scard', KEYS[1]) >= tonumber(ARGV[3]) then
  if redis.call('sismember', KEYS[1], ARGV[1]) == 1 then return 0 end
  redis.call('rename', KEYS[1], KEYS[2])
  left = -2
end
local added = redis.call('sadd', KEYS[1], ARGV[1])
if left < 0 then redis.call('pexpire', KEYS[1], 2 * ARGV[2]) end
return added`

export interface RedisNoncesOptions {
  /** How long a nonce is remembered. */
  windowMs?: number | undefined
  sets?: number
  setSize?: number
}

export class RedisNonces implements SharedNonces {
  constructor(
    private readonly redis: SharedRedis,
    private readonly options: RedisNoncesOptions = {},
  ) {}

  async firstSeen(identityKey: string, nonce: string): Promise<boolean | undefined> {
    const { windowMs = REPLAY_WINDOW_MS, sets = SETS, setSize = SET_SIZE } = this.options
    const digest = createHash('sha256').update(identityKey).update(nonce).digest()
    const name = this.redis.key(`seen:${digest.readUInt32LE(8) % sets}`)
    const added = await this.redis.attempt(
      'nonces',
      async (client) =>
        await client.eval(REMEMBER, {
          keys: [name, `${name}:before`],
          arguments: [String(digest.readBigInt64LE(0)), String(windowMs), String(setSize)],
        }),
    )
    return added === undefined ? undefined : added !== 0
  }
}
