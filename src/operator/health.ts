import type { MessageStore } from '../db/store'
import { ApiError } from '../errors'
import type { SharedRedis } from '../redis'
import type { Route } from '../routes'

/** What the server is up to, for whoever asks whether it is ready. */
export interface Lifecycle {
  /** It finishes what is under way, and takes nothing new. */
  stopping: boolean
}

/** What was true a moment ago says nothing. */
const UNCACHED = { 'cache-control': 'no-store' }

export interface HealthParts {
  store: MessageStore
  redis: SharedRedis | undefined
  hub: { connected: boolean }
  lifecycle: Lifecycle
}

/** For supervisors and load balancers, without authentication: the process is up; it can do its work. */
export function healthRoutes ({ store, redis, hub, lifecycle }: HealthParts): Route[] {
  return [
    { method: 'get', path: '/health', handler (_req, res) { res.set(UNCACHED).json({ status: 'ok' }) } },
    {
      method: 'get',
      path: '/ready',
      async handler (_req, res) {
        if (lifecycle.stopping) throw new ApiError('ERR_STOPPING')
        await store.ping()
        // Without Redis the node goes on alone, so it still takes requests.
        const alone = redis !== undefined && !(redis.up && hub.connected)
        res.set(UNCACHED).json({ status: alone ? 'degraded' : 'ready', ...(redis !== undefined && { redis: alone ? 'away' : 'ok' }) })
      }
    }
  ]
}
