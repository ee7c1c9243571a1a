import type { Logger } from 'pino'
import { explainFailure } from './failure'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/**
 * npm and the terminal may both send a signal: the server ignores a second one within this time.
 */
const REPEAT_MS = 300

export interface Stoppable {
  stop: () => Promise<void>
  shutdownTimeoutMs: number
  logger: Logger
}

/**
 * Stops the server on SIGTERM, SIGINT and SIGHUP, and ends the process within `SHUTDOWN_TIMEOUT`. A
 * second signal ends it at once.
 */
export function stopOnSignal({ stop: stopServer, shutdownTimeoutMs, logger }: Stoppable): void {
  let since: number | undefined
  const stop = (signal: NodeJS.Signals): void => {
    if (since !== undefined) {
      if (performance.now() - since < REPEAT_MS) return
      for (const signal of SIGNALS) process.off(signal, stop)
      process.kill(process.pid, signal)
      return
    }
    since = performance.now()
    logger.info({ signal }, 'stopping')
    setTimeout(() => {
      logger.warn('the server could not close everything in time')
      process.exit(0)
    }, shutdownTimeoutMs).unref()
    stopServer()
      .then(() => {
        logger.info('stopped')
        process.exit(0)
      })
      .catch(explainFailure)
  }
  for (const signal of SIGNALS) process.on(signal, stop)
}

/** Ignores signals that the supervisor gets too: it then stops its workers. */
export function ignoreSignals(): void {
  for (const signal of SIGNALS) process.on(signal, () => {})
}
