import type { MessageStore } from '../db/messages'
import { ApiError } from '../contract/errors'
import type { SharedRedis } from '../lib/redis'
import { exactly } from '../contract/answers'
import type { Operation } from '../routes/route'

/** What the server is up to, for whoever asks whether it is ready. */
export interface Lifecycle {
  /** It finishes what is under way, and takes nothing new. */
  stopping: boolean
}

/** The state may have changed since. */
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
export async function checkReadiness({
  store,
  redis,
  hub,
  lifecycle,
}: HealthParts): Promise<'ready' | 'degraded'> {
  if (lifecycle.stopping) throw new ApiError('ERR_STOPPING')
  await store.ping()
  return redis !== undefined && !(redis.up && hub.connected) ? 'degraded' : 'ready'
}

export const health: Operation<unknown> = {
  method: 'get',
  path: '/health',
  aliases: ['/healthz', '/health/live'],
  isProbe: true,
  id: 'health',
  tag: 'Server',
  summary: 'Whether the process is up',
  description:
    'Asks nothing of the database. It has a rate of its own, ten times that of other requests. `/healthz` and `/health/live` are the same.',
  access: 'open',
  answers: {
    200: {
      description: 'It is.',
      schema: exactly({ status: { const: 'ok' } }),
      examples: { up: { status: 'ok' } },
    },
  },
  errors: [],
  sample: 'console.log(await (await fetch(`${host}/health`)).json())',
  createHandler: () => (_req, res) => {
    res.set(UNCACHED).json({ status: 'ok' })
  },
}

export const ready: Operation<HealthParts> = {
  method: 'get',
  path: '/ready',
  aliases: ['/readyz', '/health/ready'],
  isProbe: true,
  id: 'ready',
  tag: 'Server',
  summary: 'Whether the server can do its work',
  description:
    'It can while the database answers and its schema is up to date, and until it is told to stop. Without its Redis it is degraded, and goes on alone. `/readyz` and `/health/ready` are the same.',
  access: 'open',
  answers: {
    200: {
      description: 'It can. `redis` is told where there is one.',
      schema: exactly(
        { status: { enum: ['ready', 'degraded'] }, redis: { enum: ['ok', 'away'] } },
        ['redis'],
      ),
      examples: { ready: { status: 'ready' }, alone: { status: 'degraded', redis: 'away' } },
    },
  },
  errors: ['ERR_STOPPING', 'ERR_UNAVAILABLE', 'ERR_SCHEMA_OUTDATED'],
  sample: 'console.log(await (await fetch(`${host}/ready`)).json())',
  createHandler: (parts) => async (_req, res) => {
    const status = await checkReadiness(parts)
    res.set(UNCACHED).json({
      status,
      ...(parts.redis !== undefined && { redis: status === 'degraded' ? 'away' : 'ok' }),
    })
  },
}
