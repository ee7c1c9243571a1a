import type { MessageBoxServer } from '../server'
import { explainFailure } from './failure'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Stops the server on SIGTERM, SIGINT and SIGHUP, and ends the process within `SHUTDOWN_TIMEOUT`; a second signal ends it at once. */
export function stopOnSignal (server: MessageBoxServer): void {
  const { logger, config } = server.context
  const stop = (signal: NodeJS.Signals): void => {
    for (const signal of SIGNALS) process.off(signal, stop)
    logger.info({ signal }, 'stopping')
    setTimeout(() => {
      logger.warn('not everything could be closed in time')
      process.exit(0)
    }, config.http.shutdownTimeout).unref()
    server.stop().then(() => {
      logger.info('stopped')
      process.exit(0)
    }).catch(explainFailure)
  }
  for (const signal of SIGNALS) process.on(signal, stop)
}
