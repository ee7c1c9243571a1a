import type { MessageStore } from '../db/store'
import { ApiError } from '../errors'
import type { SharedRedis } from '../redis'
import type { Route } from '../routes'

/** What the server is up to, for whoever asks whether it is ready. */
export interface Lifecycle {
  /** It finishes what is under way, and takes nothing new. */
  stopping: boolean
}

export interface HealthParts {
  store: MessageStore
  redis: SharedRedis | undefined
  lifecycle: Lifecycle
}

/** For supervisors and load balancers, without authentication: the process is up; it can do its work. */
export function healthRoutes ({ store, redis, lifecycle }: HealthParts): Route[] {
  return [
    { method: 'get', path: '/health', handler (_req, res) { res.json({ status: 'ok' }) } },
    {
      method: 'get',
      path: '/ready',
      async handler (_req, res) {
        if (lifecycle.stopping) throw new ApiError('ERR_STOPPING')
        await store.ping()
        // Without Redis the node goes on alone, so it still takes requests.
        res.json(redis === undefined ? { status: 'ready' } : { status: redis.up ? 'ready' : 'degraded', redis: redis.up ? 'ok' : 'away' })
      }
    }
  ]
}
