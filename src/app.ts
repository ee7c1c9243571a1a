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
import { cors } from './http/cors'
import { Exchange, exchangeOf } from './http/exchange'
import { sendErrorResponse } from './http/errorResponse'
import { isTarget, mergeSlashes, toPath } from './http/target'
import { Turns } from './http/turns'
import { pointsOf } from './limits/meter'
import { unlimited, type RateLimiter } from './limits/rates'
import { operatorRoutes } from './operator'
import { healthRoutes } from './operator/health'
import { faultLogOf, logRequests } from './http/requestLog'
import { documentRoutes } from './openapi'
import { pageRoutes, rootRoutes } from './pages'
import { HANDSHAKE_PATH, SOCKET_PATH } from './contract/protocol'
import { type Route } from './routes/route'
import { routes } from './routes'

/**
 * The HTTP side, top to bottom: rates of addresses, sockets, CORS, health, what is public, handshake, authentication,
 * routes, errors.
 * @param sockets takes the requests of Socket.IO, if live messaging is on
 */
export function createApp(context: Context, sockets?: RequestListener): RequestListener {
  const { config, auth, limits, logger, metrics, overlay, tracing } = context
  const { prefix } = config.http
  const [health, open, closed] = [
    healthRoutes(context),
    [...operatorRoutes(context), ...documentRoutes(context), ...pageRoutes(context)],
    routes(context),
  ]
  const atRoot = [...overlay.routes, ...rootRoutes(context)]
  const nameOf = namesOf(prefix, [...health, ...open, ...closed], atRoot)
  const isHealth = (path: string): boolean => health.some((route) => route.path === nameOf(path))
  const notFound = notFoundAt(config.live.enabled)
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  const isProxied = (req: Request): boolean => limits.address.isProxied(req)
  app.use(tracing.middleware(nameOf, isProxied))
  app.use(logRequests({ ...context, isProxied, routeOf: nameOf, isPolled: isHealth }))
  app.use(cors)
  app.use(mount(prefix, health), mount(prefix, open), mount('', atRoot))
  app.use(refuseUnknown(prefix, closed, notFound), ...auth)
  app.use(...limitIdentities(limits.perIdentity))
  app.use(mount(prefix, closed))
  app.use((req) => {
    throw notFound(req.path)
  })
  const overlayPaths = new Set(overlay.routes.map(({ path }) => normalize(path)))
  /** Clients of the overlay network look for "message" in an error. */
  const describeAt: DescribeAt = (path, refusal) => {
    return overlayPaths.has(normalize(path)) ? refusal.with({ message: refusal.message }) : refusal
  }
  app.use(answerError(context, describeAt))

  const giveUp = (error: unknown, res: ServerResponse): void => {
    logger.error({ err: error }, 'a request could not be answered')
    res.destroy()
  }
  const answer = (req: IncomingMessage, res: ServerResponse): void => {
    if (req.socket.destroyed) return
    if (sockets !== undefined && req.url!.startsWith(SOCKET_PATH)) sockets(req, res)
    else if (isTarget(req.url))
      app(req as Request, res as Response, (error) => {
        giveUp(error, res)
      })
    else refuse(req, res, new ApiError('ERR_BAD_REQUEST'))
  }
  /** Refuses without Express, which costs too much for those who ask too often. */
  const refuse = (req: IncomingMessage, res: ServerResponse, error: unknown): void => {
    const { code, headers, status } = toApiError(error, logger)
    const [path] = req.url!.split('?', 1)
    metrics.rejected(code, 'http')
    metrics.request(nameOf(path!), status, 0)
    logger.debug({ method: req.method, status, code }, 'a request was refused unread')
    const refusal = new ApiError(code, (error as Error).message, (error as ApiError).details, {
      headers,
    })
    cors(req, res, () => {
      sendErrorResponse(res, describeAt(path!, refusal))
    })
  }
  const turns = new Turns()
  const begin = (address: string, req: IncomingMessage, res: ServerResponse): void => {
    const go = (): void => {
      answer(req, res)
    }
    // A poll waits for long, and its body is never read.
    const isPoll = req.method === 'GET' && req.url!.startsWith(SOCKET_PATH)
    if (isPoll || req.headers['transfer-encoding'] === undefined) turns.run(address, go)
    else turns.runChunked(address, { req, res }, go)
  }
  return (req, res) => {
    const target = toPath(req.url!)
    Object.assign(req, { originalUrl: target, url: mergeSlashes(target) })
    const { address } = new Exchange(req, res, limits)
    if (limits.perAddress.isFlooding(address) && !limits.address.isProxied(req))
      return void req.socket.destroy()
    const limiter =
      req.method === 'OPTIONS' || isHealth(req.url!.split('?', 1)[0]!)
        ? limits.cheap
        : limits.perAddress
    try {
      const counted = limiter.consume(address)
      if (counted === undefined) begin(address, req, res)
      else
        counted.then(
          () => {
            begin(address, req, res)
          },
          (error: unknown) => {
            refuse(req, res, error)
          },
        )
    } catch (error) {
      refuse(req, res, error)
    }
  }
}

/** The end of a route that serves the files of a folder. */
const FILE = ':file'

/** Names a path by its route, without the prefix; what is no route is "other", so that nobody can make names up. */
function namesOf(prefix: string, known: Route[], root: Route[]): (path: string) => string {
  const names = new Map([
    ...known.map(({ path }) => [normalize(`${prefix}${path}`), path] as const),
    ...root.map(({ path }) => [normalize(path), path] as const),
  ])
  names.set(normalize(HANDSHAKE_PATH), HANDSHAKE_PATH)
  return (path) => {
    const plain = normalize(path)
    return (
      names.get(plain) ??
      names.get(`${plain.slice(0, plain.lastIndexOf('/') + 1)}${FILE}`) ??
      'other'
    )
  }
}

/** Paths are compared as Express does: in any case, and with a slash at their end or without. */
function normalize(path: string): string {
  return path.length > 1 && path.endsWith('/')
    ? path.slice(0, -1).toLowerCase()
    : path.toLowerCase()
}

/** Rejects requests of an identity over its rate. Does nothing if the limit is off. */
function limitIdentities(limiter: RateLimiter): [RequestHandler, ...RequestHandler[]] {
  if (limiter === unlimited)
    return [
      (_req, _res, next) => {
        next()
      },
    ]
  return [
    async (req, _res, next) => {
      await limiter.consume(
        (req as AuthRequest).auth.identityKey,
        1 + pointsOf({ bytes: exchangeOf(req).bodyBytes }),
      )
      next()
    },
  ]
}

/** Tells someone who claims no identity what a path is, rather than that an identity is missing. */
function refuseUnknown(prefix: string, table: Route[], notFound: NotFound): RequestHandler {
  const known = new Map(
    table.map(({ method, path }) => [normalize(`${prefix}${path}`), method.toUpperCase()]),
  )
  return (req, _res, next) => {
    if (req.path === HANDSHAKE_PATH || hasCredentials(req)) return next()
    const method = known.get(normalize(req.path))
    if (method === undefined) throw notFound(req.path)
    if (method !== req.method) throw methodNotAllowed(method)
    next()
  }
}

/** Serves a table of routes. Express's own router waits for a turn of the event loop behind each table that has no match. */
function mount(prefix: string, table: Route[]): RequestHandler {
  const routes = new Map(table.map((route) => [normalize(`${prefix}${route.path}`), route]))
  return (req, res, next) => {
    const plain = normalize(req.path)
    const folder = plain.slice(0, plain.lastIndexOf('/') + 1)
    const route = routes.get(plain) ?? routes.get(`${folder}${FILE}`)
    if (route === undefined) return next()
    const { method, handler } = route
    if (req.method !== method.toUpperCase() && !(req.method === 'HEAD' && method === 'get'))
      throw methodNotAllowed(method.toUpperCase())
    req.params = { file: decodeURIComponent(req.path.slice(folder.length)) }
    return handler(req, res, next)
  }
}

function methodNotAllowed(allowed: string): ApiError {
  return new ApiError(
    'ERR_METHOD_NOT_ALLOWED',
    `This path answers ${allowed} alone.`,
    {},
    { headers: { allow: allowed } },
  )
}

type NotFound = (path: string) => ApiError

function notFoundAt(live: boolean): NotFound {
  return (path) => {
    const off = !live && path.startsWith('/socket.io')
    return new ApiError(
      'ERR_NOT_FOUND',
      off ? 'Live messaging is off on this server: it takes ENABLE_WEBSOCKETS=true.' : undefined,
    )
  }
}

/** The one place where an error becomes a response. */
/** A refusal as the clients of a path expect it. */
type DescribeAt = (path: string, refusal: ApiError) => ApiError

function answerError(
  { logger, metrics }: Pick<Context, 'logger' | 'metrics'>,
  describeAt: DescribeAt,
): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, req, res, _next) => {
    const refusal = toApiError(error, faultLogOf(req, logger))
    metrics.rejected(refusal.code, 'http')
    if (res.headersSent) return void res.destroy()
    res.status(refusal.status).set(refusal.headers).json(describeAt(req.path, refusal).toBody())
  }
}
