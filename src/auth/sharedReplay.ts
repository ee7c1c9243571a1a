/** The nonces that any node has seen of late, in Redis. Where Redis is away, each node remembers its own. */
import { createHash } from 'node:crypto'
import type { SharedRedis } from '../redis'
import { REPLAY_WINDOW, type ReplayGuard } from './replay'

/** So many bytes of a hash name a nonce: two that share them cannot be found. */
const NAME_BYTES = 16

export class SharedReplayGuard implements ReplayGuard {
  constructor (
    private readonly own: ReplayGuard,
    private readonly redis: SharedRedis,
    /** For how many milliseconds a nonce is remembered. */
    private readonly window = REPLAY_WINDOW
  ) {}

  async firstSeen (identityKey: string, nonce: string): Promise<boolean> {
    if (!await this.own.firstSeen(identityKey, nonce)) return false
    const name = createHash('sha256').update(identityKey).update(nonce).digest().toString('base64url', 0, NAME_BYTES)
    const answer = await this.redis.attempt('nonces', async client => await client.set(this.redis.key(`seen:${name}`), '', {
      condition: 'NX',
      expiration: { type: 'PX', value: this.window }
    }))
    return answer !== null
  }
}
