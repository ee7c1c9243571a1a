/** Follows each HTTP request: gives it an id, and says in the log and in the metrics what became of it. */
import type { Request, RequestHandler } from 'express'
import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import type { FaultLog } from '../contract/errors'
import type { Metrics } from '../metrics'

export interface RequestLogParts {
  logger: Logger
  metrics: Metrics
  /** Whether a request comes from a proxy whose id for it is taken over. */
  isProxied: (req: Request) => boolean
  /** The route's name in the metrics, for a path. */
  routeOf: (path: string) => string
  /** Paths that are asked for every few seconds: they are logged at the level debug. */
  isPolled: (path: string) => boolean
}

const REQUEST_ID = /^[\w.:-]{1,100}$/
/** How much of a path the log holds. */
const MAX_PATH = 200

const ids = new WeakMap<Request, string>()

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
    ids.set(req, requestId)
    res.setHeader('x-request-id', requestId)
    res.once('close', () => {
      const milliseconds = performance.now() - since
      // Whoever left before the answer began got none, whatever it would have been.
      const status = res.headersSent ? res.statusCode : undefined
      metrics.request(routeOf(path), status, milliseconds / 1000)
      const level = isPolled(path) ? 'debug' : 'info'
      if (!logger.isLevelEnabled(level)) return
      logger[level](
        {
          requestId,
          method,
          path: path.slice(0, MAX_PATH),
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

/** A log whose lines carry the request's id. */
export function faultLogOf(req: Request, logger: Logger): FaultLog {
  return {
    error(fields, text) {
      logger.error({ requestId: ids.get(req), ...fields }, text)
    },
  }
}
