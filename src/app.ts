import express, {
  type ErrorRequestHandler,
  type Request,
  type RequestHandler,
  type Response,
} from 'express'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { hasCredentials, type AuthRequest } from './auth/http'
import type { Context } from './context'
import { ApiError, toApiError } from './contract/errors'
import { cors, setCorsHeaders } from './http/cors'
import { createMessageClasses, Exchange, exchangeOf, type MessageClasses } from './http/exchange'
import { sendErrorResponse } from './http/errorResponse'
import { isTarget, mergeSlashes, toPath } from './http/target'
import { Turns } from './http/turns'
import { pointsOf } from './limits/meter'
import { unlimited, type RateLimiter } from './limits/rates'
import { OPERATOR_ROUTES } from './operator'
import { faultLogOf, logRequests } from './http/requestLog'
import { once } from './lib/once'
import { DOCUMENT_ROUTES } from './openapi'
import type { DocumentParts, OpenApiDocument } from './openapi/document'
import { PAGE_ROUTES } from './pages'
import { HANDSHAKE_PATH, SOCKET_PATH } from './contract/protocol'
import { IDENTITY_ROUTES } from './routes'
import { HANDSHAKE } from './routes/handshake'
import { createRoutes } from './routes/route'
import { createRouteTable, methodNotAllowed, type RouteTable } from './routes/table'
import type { EventsDocument } from './ws/events/asyncapi'

interface App {
  onRequest: RequestListener
  classes: MessageClasses
}

/** @param sockets handles the requests of Socket.IO, if live messaging is on */
export function createApp(context: Context, sockets?: RequestListener): App {
  const { config, auth, info, limits, logger, metrics, overlay, tracing } = context
  const { prefix } = config.http
  const documents = createDocuments({ info, prefix })
  const table = createRouteTable(prefix, [
    ...createRoutes([HANDSHAKE], context),
    ...createRoutes(OPERATOR_ROUTES, context),
    ...createRoutes(DOCUMENT_ROUTES, documents),
    ...createRoutes(PAGE_ROUTES, { ...context, ...documents }),
    ...overlay.routes,
    ...createRoutes(IDENTITY_ROUTES, context),
  ])
  const { nameOf } = table
  const isProbe = (path: string): boolean => table.find(path)?.isProbe === true
  const isProxied = (req: Request): boolean => limits.address.isProxied(req)
  const notFound = createNotFound(config.live.enabled)
  /** Clients of the overlay network look for "message" in an error. */
  const describeAt: DescribeAt = (path, error) =>
    table.find(path)?.tag === 'Overlay' ? error.with({ message: error.message }) : error

  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  const classes = createMessageClasses(app)
  if (tracing.middleware !== undefined) app.use(tracing.middleware(nameOf, isProxied))
  app.use(logRequests({ ...context, isProxied, routeOf: nameOf, isPolled: isProbe }))
  app.use(cors)
  app.use(table.serve('open'))
  app.use(rejectUnknown(table, notFound), ...auth)
  if (limits.perIdentity !== unlimited) app.use(limitIdentities(limits.perIdentity))
  app.use(table.serve('identity'))
  app.use((req) => {
    throw notFound(req.path)
  })
  app.use(answerError(context, describeAt))

  const answer = (req: IncomingMessage, res: ServerResponse): void => {
    if (req.socket.destroyed) return
    if (sockets !== undefined && req.url!.startsWith(SOCKET_PATH)) sockets(req, res)
    else if (isTarget(req.url))
      app(req as Request, res as Response, (error) => {
        logger.error({ err: error }, 'a request could not be answered')
        res.destroy()
      })
    else reject(req, res, new ApiError('ERR_BAD_REQUEST'))
  }
  /** Rejects without Express, which costs too much under a flood of requests. */
  const reject = (req: IncomingMessage, res: ServerResponse, error: unknown): void => {
    const apiError = toApiError(error, logger)
    const { code, status } = apiError
    const [path] = req.url!.split('?', 1)
    metrics.rejected(code, 'http')
    metrics.request(nameOf(path!), status, 0)
    logger.debug({ method: req.method, status, code }, 'a request was rejected unread')
    setCorsHeaders(req, res)
    sendErrorResponse(res, describeAt(path!, apiError))
  }
  const turns = new Turns()
  const enqueue = (address: string, req: IncomingMessage, res: ServerResponse): void => {
    const start = (): void => {
      answer(req, res)
    }
    // A long poll stays open for seconds, and its body is never read.
    const isPoll = req.method === 'GET' && req.url!.startsWith(SOCKET_PATH)
    if (isPoll || req.headers['transfer-encoding'] === undefined) turns.run(address, start)
    else turns.runChunked(address, { req, res }, start)
  }
  const onRequest: RequestListener = (req, res) => {
    const target = toPath(req.url!)
    Object.assign(req, { originalUrl: target, url: mergeSlashes(target) })
    const { address } = new Exchange(req, res, limits)
    if (limits.perAddress.isFlooding(address) && !limits.address.isProxied(req))
      return void req.socket.destroy()
    const limiter =
      req.method === 'OPTIONS' || isProbe(req.url!.split('?', 1)[0]!)
        ? limits.cheap
        : limits.perAddress
    let counted: void | Promise<void>
    try {
      counted = limiter.consume(address)
    } catch (error) {
      return void reject(req, res, error)
    }
    if (counted === undefined) return void enqueue(address, req, res)
    counted.then(
      () => {
        enqueue(address, req, res)
      },
      (error: unknown) => {
        reject(req, res, error)
      },
    )
  }
  return { onRequest, classes }
}

/** Loads what creates a document at its first request: it takes time at a start, and memory. */
function createDocuments(parts: DocumentParts): {
  openapi: () => OpenApiDocument
  asyncapi: () => EventsDocument
} {
  return {
    openapi: once(() => {
      const { createDocument } =
        require('./openapi/document') as typeof import('./openapi/document')
      return createDocument(parts)
    }),
    asyncapi: once(() => {
      const { createEventsDocument } =
        require('./ws/events/asyncapi') as typeof import('./ws/events/asyncapi')
      return createEventsDocument()
    }),
  }
}

/** Rejects requests of an identity over its rate limit. */
function limitIdentities(limiter: RateLimiter): RequestHandler {
  return async (req, _res, next) => {
    await limiter.consume(
      (req as AuthRequest).auth.identityKey,
      1 + pointsOf({ bytes: exchangeOf(req).bodyBytes }),
    )
    next()
  }
}

/** Answers 404 and 405 to requests without credentials, which authentication would answer 401. */
function rejectUnknown(table: RouteTable, notFound: NotFound): RequestHandler {
  return (req, _res, next) => {
    if (req.path === HANDSHAKE_PATH || hasCredentials(req)) return next()
    const route = table.find(req.path)
    if (route?.access !== 'identity') throw notFound(req.path)
    if (route.method.toUpperCase() !== req.method) throw methodNotAllowed(route)
    next()
  }
}

type NotFound = (path: string) => ApiError

function createNotFound(live: boolean): NotFound {
  return (path) => {
    const off = !live && path.startsWith('/socket.io')
    return new ApiError(
      'ERR_NOT_FOUND',
      off ? 'Live messaging is off on this server (ENABLE_WEBSOCKETS=true enables it).' : undefined,
    )
  }
}

/** The error in the form that clients of the path expect. */
type DescribeAt = (path: string, error: ApiError) => ApiError

function answerError(
  { logger, metrics }: Pick<Context, 'logger' | 'metrics'>,
  describeAt: DescribeAt,
): ErrorRequestHandler {
  // Express recognises an error handler by its four parameters.
  return (error: unknown, req, res, _next) => {
    const apiError = toApiError(error, faultLogOf(req, logger))
    metrics.rejected(apiError.code, 'http')
    if (res.headersSent) return void res.destroy()
    res.status(apiError.status).set(apiError.headers).json(describeAt(req.path, apiError).toBody())
  }
}
