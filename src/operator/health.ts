import type { MessageStore } from '../db/messages'
import { ApiError } from '../contract/errors'
import type { Sharing } from '../sharing'
import { exactly } from '../contract/answers'
import type { Operation } from '../routes/route'

export interface Lifecycle {
  /** The server finishes the requests in progress and accepts no new ones. */
  stopping: boolean
}

const UNCACHED = { 'cache-control': 'no-store' }

export interface HealthParts {
  store: MessageStore
  sharing: Pick<Sharing, 'up' | 'usesRedis'>
  hub: { connected: boolean }
  lifecycle: Lifecycle
}

/**
 * Resolves if this process can handle requests; `degraded` if it cannot reach Redis, or its
 * supervisor, and works alone.
 * @throws ApiError ERR_STOPPING, ERR_UNAVAILABLE, ERR_SCHEMA_OUTDATED
 */
export async function checkReadiness({
  store,
  sharing,
  hub,
  lifecycle,
}: HealthParts): Promise<'ready' | 'degraded'> {
  if (lifecycle.stopping) throw new ApiError('ERR_STOPPING')
  await store.ping()
  return sharing.up && hub.connected ? 'ready' : 'degraded'
}

export const health: Operation<unknown> = {
  method: 'get',
  path: '/health',
  aliases: ['/healthz', '/health/live'],
  isProbe: true,
  id: 'health',
  tag: 'Server',
  summary: 'Check that the process runs',
  description:
    'Does not query the database. Its rate limit is ten times that of other requests. ' +
    '`/healthz` and `/health/live` are the same.',
  access: 'open',
  answers: {
    200: {
      description: 'The process runs.',
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
  summary: 'Check the database and its schema',
  description:
    'The server is ready if the database answers, its schema is up to date, and the server is ' +
    'not stopping. If Redis is unreachable, or the supervisor does not answer its worker, the ' +
    'status is `degraded` and the node or worker works alone. ' +
    '`/readyz` and `/health/ready` are the same.',
  access: 'open',
  answers: {
    200: {
      description: 'The server is ready. `redis` is left out if the server does not use Redis.',
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
      ...(parts.sharing.usesRedis && { redis: status === 'degraded' ? 'away' : 'ok' }),
    })
  },
}
