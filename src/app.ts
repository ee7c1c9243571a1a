import express, { Router, type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express'
import type { RequestListener, ServerResponse } from 'node:http'
import { refuseUnread } from './auth/body'
import { hasCredentials, type AuthRequest } from './auth/http'
import type { Context } from './context'
import { cors } from './cors'
import { ApiError, toApiError } from './errors'
import { unlimited, type RateLimiter } from './limits/rates'
import { operatorRoutes } from './operator'
import { healthRoutes } from './operator/health'
import { documentRoutes } from './openapi'
import { faultLogOf, followRequests } from './operator/requests'
import { pageRoutes, rootRoutes } from './pages'
import { HANDSHAKE_PATH } from './protocol'
import { sendRefusal } from './refusal'
import { routes, type Route } from './routes'

/** The HTTP side, top to bottom: CORS, health, limits, what is public, handshake, authentication, routes, errors. */
export function createApp (context: Context): RequestListener {
  const { config, auth, limits, logger, overlay, tracing } = context
  const { prefix } = config.http
  const [health, open, closed] = [healthRoutes(context), [...operatorRoutes(context), ...documentRoutes(context), ...pageRoutes(context)], routes(context)]
  const atRoot = [...overlay.routes, ...rootRoutes(context)]
  const nameOf = namesOf(prefix, [...health, ...open, ...closed], atRoot)
  const notFound = notFoundAt(config.live.enabled)
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  const isProxied = (req: Request): boolean => limits.address.isProxied(req)
  app.use(tracing.middleware(nameOf, isProxied))
  app.use(followRequests({ ...context, isProxied, routeOf: nameOf, isPolled: path => health.some(route => route.path === nameOf(path)) }))
  app.use(cors)
  app.use(prefix, mount(health))
  app.use(...limitBy(limits.perAddress, req => limits.address.of(req)))
  app.use(prefix, mount(open))
  app.use(mount(atRoot))
  app.use(refuseUnknown(prefix, closed, notFound), ...auth)
  app.use(...limitBy(limits.perIdentity, req => (req as AuthRequest).auth.identityKey))
  app.use(prefix, mount(closed))
  app.use(req => { throw notFound(req.path) })
  app.use(answerError(context))
  const giveUp = (error: unknown, res: ServerResponse): void => {
    logger.error({ err: error }, 'a request could not be answered')
    res.destroy()
  }
  return (req, res) => {
    if (isTarget(req.url)) app(req as Request, res as Response, error => { giveUp(error, res) })
    else cors(req, res, () => { sendRefusal(res, new ApiError('ERR_BAD_REQUEST')) })
  }
}

/** A path, or a whole URL: Express gives up on anything else before any of the above is asked. */
function isTarget (target = ''): boolean {
  return target.startsWith('/') || target === '*' || URL.canParse(target)
}

/** Names a path by its route, without the prefix; what is no route is "other", so that nobody can make names up. */
function namesOf (prefix: string, known: Route[], root: Route[]): (path: string) => string {
  const names = new Map([...known.map(({ path }) => [normalize(`${prefix}${path}`), path] as const), ...root.map(({ path }) => [normalize(path), path] as const)])
  names.set(normalize(HANDSHAKE_PATH), HANDSHAKE_PATH)
  return path => {
    const plain = normalize(path)
    return names.get(plain) ?? names.get(`${plain.slice(0, plain.lastIndexOf('/') + 1)}:file`) ?? 'other'
  }
}

/** Paths are compared as Express does: in any case, and with a slash at their end or without. */
function normalize (path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1).toLowerCase() : path.toLowerCase()
}

/** Refuses whoever asks too often; nothing at all where nobody is counted. */
function limitBy (limiter: RateLimiter, keyOf: (req: Request) => string): [RequestHandler, ...RequestHandler[]] {
  if (limiter === unlimited) return [(_req, _res, next) => { next() }]
  return [async (req, res, next) => {
    await limiter.consume(keyOf(req)).catch((error: unknown) => {
      if (!req.readableEnded) refuseUnread(req, res)
      throw error
    })
    next()
  }]
}

/** Tells someone who claims no identity what a path is, rather than that an identity is missing. */
function refuseUnknown (prefix: string, table: Route[], notFound: NotFound): RequestHandler {
  const known = new Map(table.map(({ method, path }) => [normalize(`${prefix}${path}`), method.toUpperCase()]))
  return (req, _res, next) => {
    if (req.path === HANDSHAKE_PATH || hasCredentials(req)) return next()
    const method = known.get(normalize(req.path))
    if (method === undefined) throw notFound(req.path)
    if (method !== req.method) throw methodNotAllowed(method)
    next()
  }
}

function mount (table: Route[]): Router {
  const router = Router()
  for (const { method, path, handler } of table) {
    router[method](path, handler)
    router.all(path, () => { throw methodNotAllowed(method.toUpperCase()) })
  }
  return router
}

function methodNotAllowed (allowed: string): ApiError {
  return new ApiError('ERR_METHOD_NOT_ALLOWED', `This path answers ${allowed} alone.`, {}, { headers: { allow: allowed } })
}

type NotFound = (path: string) => ApiError

function notFoundAt (live: boolean): NotFound {
  return path => {
    const off = !live && path.startsWith('/socket.io')
    return new ApiError('ERR_NOT_FOUND', off ? 'Live messaging is off on this server: it takes ENABLE_WEBSOCKETS=true.' : undefined)
  }
}

/** The one place where an error becomes a response. */
function answerError ({ logger, metrics }: Pick<Context, 'logger' | 'metrics'>): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, req, res, _next) => {
    const refusal = toApiError(error, faultLogOf(req, logger))
    metrics.refused(refusal.code, 'http')
    if (res.headersSent) return void res.destroy()
    res.status(refusal.status).set(refusal.headers).json(refusal.toBody())
  }
}
