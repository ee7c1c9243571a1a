import type { RequestHandler } from 'express'
import type { MessageStore } from '../db/messages'
import { ApiError } from '../contract/errors'
import type { SharedRedis } from '../lib/redis'
import type { Route } from '../routes/route'

/** What the server is up to, for whoever asks whether it is ready. */
export interface Lifecycle {
  /** It finishes what is under way, and takes nothing new. */
  stopping: boolean
}

/** The path that the documents name, then those that supervisors ask by default. */
const HEALTH_PATHS = ['/health', '/healthz', '/health/live']
const READY_PATHS = ['/ready', '/readyz', '/health/ready']
/** What was true a moment ago says nothing. */
const UNCACHED = { 'cache-control': 'no-store' }

export interface HealthParts {
  store: MessageStore
  redis: SharedRedis | undefined
  hub: { connected: boolean }
  lifecycle: Lifecycle
}

/**
 * Whether the server does its work now; without Redis the node goes on alone, so it still takes requests.
 * @throws ApiError ERR_STOPPING, ERR_UNAVAILABLE, ERR_SCHEMA_OUTDATED
 */
export async function lookAround({
  store,
  redis,
  hub,
  lifecycle,
}: HealthParts): Promise<'ready' | 'degraded'> {
  if (lifecycle.stopping) throw new ApiError('ERR_STOPPING')
  await store.ping()
  return redis !== undefined && !(redis.up && hub.connected) ? 'degraded' : 'ready'
}

/** For supervisors and load balancers, without authentication: the process is up; it can do its work. */
export function healthRoutes(parts: HealthParts): Route[] {
  const health: RequestHandler = (_req, res) => {
    res.set(UNCACHED).json({ status: 'ok' })
  }
  const ready: RequestHandler = async (_req, res) => {
    const status = await lookAround(parts)
    res.set(UNCACHED).json({
      status,
      ...(parts.redis !== undefined && { redis: status === 'degraded' ? 'away' : 'ok' }),
    })
  }
  const route =
    (handler: RequestHandler) =>
    (path: string): Route => ({ method: 'get', path, handler })
  return [...HEALTH_PATHS.map(route(health)), ...READY_PATHS.map(route(ready))]
}
