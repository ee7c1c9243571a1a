import { createClient } from '@redis/client'
import { foreign } from '../wording'
import type { Report } from './finding'
import type { Subject } from './check'

const REDIS_TIMEOUT_MS = 3000
const MIN_VERSION = 6

export async function checkRedis({ config, broken }: Subject, report: Report): Promise<void> {
  const { url } = config.redis
  if (broken.has('REDIS_URL')) return
  if (url === undefined)
    return report.ok('no-redis', 'REDIS_URL is not set: this is the only node.')
  const { host } = new URL(url.reveal())
  const client = createClient({
    url: url.reveal(),
    socket: {
      connectTimeout: REDIS_TIMEOUT_MS,
      socketTimeout: REDIS_TIMEOUT_MS,
      reconnectStrategy: false,
    },
  })
  let fault: Error | undefined
  client.on('error', (error: Error) => {
    fault = error
  })
  try {
    await client.connect()
    const version = /redis_version:(\S+)/.exec(await client.info('server'))?.[1] ?? 'unknown'
    if (Number.parseInt(version) < MIN_VERSION)
      report.warning(
        'old-redis',
        `Redis at ${host} is ${foreign(version)}.`,
        `Use Redis ${MIN_VERSION} or later.`,
      )
    else report.ok('redis', `Redis ${foreign(version)} answers at ${host}.`)
  } catch (error) {
    report.problem(
      'redis',
      `Redis does not answer at ${host}: ${describe(fault ?? (error as Error))}.`,
      'Start it, or correct REDIS_URL: address, password, "rediss://" for TLS. ' +
        'Until then each node works alone.',
    )
  } finally {
    if (client.isOpen) client.destroy()
  }
}

/** Does not show the URL, which may hold a password. */
function describe({ message, code, name }: NodeJS.ErrnoException): string {
  return foreign(message === '' ? (code ?? name) : message)
}
