/** Starts of the built server with default settings on SQLite: the time, and the memory at rest. */
import { setTimeout as pause } from 'node:timers/promises'
import { createDatabase } from '../databases/databases'
import { eventually, ServerProcess } from '../programs/processes'
import { residentBytes } from './memory'

interface StartCounts {
  /** From the start of the process to the first 200 of `/ready`, in milliseconds. */
  medianMilliseconds: number
  fastestMilliseconds: number
  slowestMilliseconds: number
  /** The resident memory of the server 10 seconds later, in bytes; the median. */
  restBytes: number
}

const REST_MS = 10_000

export async function measureStarts(count: number): Promise<StartCounts> {
  const database = await createDatabase('sqlite')
  const env = { ...database.env, NODE_ENV: 'production' }
  const times: number[] = []
  const sizes: number[] = []
  try {
    // The first start creates the tables.
    await (await ServerProcess.start({ env, build: true })).kill('SIGTERM')
    while (times.length < count) {
      const since = performance.now()
      const server = await ServerProcess.start({ env, build: true })
      await eventually(
        async () => (await fetch(`${server.origin}/ready`)).ok || undefined,
        () => 'The server is not ready',
      )
      times.push(Math.round(performance.now() - since))
      await pause(REST_MS)
      sizes.push(residentBytes(server.pid!))
      await server.kill('SIGTERM')
    }
  } finally {
    await database.drop()
  }
  times.sort((a, b) => a - b)
  sizes.sort((a, b) => a - b)
  return {
    medianMilliseconds: times[count >> 1]!,
    fastestMilliseconds: times[0]!,
    slowestMilliseconds: times.at(-1)!,
    restBytes: sizes[count >> 1]!,
  }
}
