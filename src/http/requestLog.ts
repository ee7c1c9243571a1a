/** Gives each HTTP request an id, and records its result in the log and the metrics. */
import type { Request, RequestHandler } from 'express'
import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import type { FaultLog } from '../contract/errors'
import type { Metrics } from '../metrics'
import { exchangeOf } from './exchange'

export interface RequestLogParts {
  logger: Logger
  metrics: Metrics
  /** Whether a request comes from a trusted proxy: then the proxy's request id is kept. */
  isProxied: (req: Request) => boolean
  /** The name of a path's route in the metrics. */
  routeOf: (path: string) => string
  /** Whether a path is requested every few seconds: then it is logged at the level debug. */
  isPolled: (path: string) => boolean
}

const REQUEST_ID = /^[\w.:-]{1,100}$/
const MAX_LOGGED_PATH_LENGTH = 200

export function logRequests({
  logger,
  metrics,
  isProxied,
  routeOf,
  isPolled,
}: RequestLogParts): RequestHandler {
  return (req, res, next) => {
    const since = performance.now()
    const { method, path } = req
    const given = req.headers['x-request-id']
    const requestId =
      typeof given === 'string' && REQUEST_ID.test(given) && isProxied(req) ? given : randomUUID()
    exchangeOf(req).requestId = requestId
    res.setHeader('x-request-id', requestId)
    res.once('close', () => {
      const milliseconds = performance.now() - since
      // A client that disconnected before the answer began has got no status.
      const status = res.headersSent ? res.statusCode : undefined
      metrics.request(routeOf(path), status, milliseconds / 1000)
      const level = isPolled(path) ? 'debug' : 'info'
      if (!logger.isLevelEnabled(level)) return
      logger[level](
        {
          requestId,
          method,
          path: path.slice(0, MAX_LOGGED_PATH_LENGTH),
          status,
          milliseconds: Math.round(milliseconds),
          ...(!res.writableFinished && { aborted: true }),
        },
        'request',
      )
    })
    next()
  }
}

/** @returns a log that adds the request's id to each line */
export function faultLogOf(req: Request, logger: Logger): FaultLog {
  return {
    error(fields, text) {
      logger.error({ requestId: exchangeOf(req).requestId, ...fields }, text)
    },
  }
}
