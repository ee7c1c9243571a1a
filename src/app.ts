import express, { Router, type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { hasCredentials } from './auth/http'
import type { Context } from './context'
import { cors } from './cors'
import { ApiError, toApiError } from './errors'
import { HANDSHAKE_PATH } from './protocol'
import { routes, type Route } from './routes'

/** The HTTP side, top to bottom: CORS, health, handshake, authentication, routes, errors. */
export function createApp ({ config, auth, mailbox, store, logger }: Context): RequestListener {
  const { prefix } = config.http
  const table = routes(mailbox)
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  if (logger.isLevelEnabled('debug')) app.use(logRequests(logger))
  app.use(cors)
  app.use(prefix, health(store.ping))
  const notFound = notFoundAt(config.live.enabled)
  app.use(refuseUnknown(prefix, table, notFound), ...auth)
  app.use(prefix === '' ? '/' : prefix, mount(table))
  app.use(req => { throw notFound(req.path) })
  app.use(answerError(logger))
  const giveUp = (error: unknown, res: ServerResponse): void => {
    logger.error({ err: error }, 'a request could not be answered')
    res.destroy()
  }
  return (req, res) => {
    if (isTarget(req.url)) app(req as Request, res as Response, error => { giveUp(error, res) })
    else refuseTarget(req, res)
  }
}

/** A path, or a whole URL: Express gives up on anything else before any of the above is asked. */
function isTarget (target = ''): boolean {
  return target.startsWith('/') || target === '*' || URL.canParse(target)
}

function refuseTarget (req: IncomingMessage, res: ServerResponse): void {
  cors(req, res, () => {
    const refusal = new ApiError('ERR_BAD_REQUEST')
    const body = JSON.stringify(refusal.toBody())
    res.writeHead(refusal.status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) }).end(body)
  })
}

/** A line for each request, without what it holds. */
function logRequests (logger: Context['logger']): RequestHandler {
  return (req, res, next) => {
    const since = performance.now()
    const { method, path } = req
    res.once('finish', () => { logger.debug({ method, path, status: res.statusCode, milliseconds: Math.round(performance.now() - since) }, 'request') })
    next()
  }
}

/** For supervisors and load balancers, without authentication: the process is up; the database answers. */
function health (ping: () => Promise<void>): Router {
  return Router()
    .get('/health', (_req, res) => { res.json({ status: 'ok' }) })
    .get('/ready', async (_req, res) => {
      await ping()
      res.json({ status: 'ready' })
    })
    .all(['/health', '/ready'], () => { throw methodNotAllowed('GET') })
}

/** Tells someone who claims no identity what a path is, rather than that an identity is missing. */
function refuseUnknown (prefix: string, table: Route[], notFound: NotFound): RequestHandler {
  const known = new Map(table.map(({ method, path }) => [`${prefix}${path}`.toLowerCase(), method.toUpperCase()]))
  return (req, _res, next) => {
    if (req.path === HANDSHAKE_PATH || hasCredentials(req)) return next()
    const method = known.get(req.path.toLowerCase().replace(/\/$/, ''))
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
  return new ApiError('ERR_METHOD_NOT_ALLOWED', `This path answers ${allowed} alone.`, {}, { allow: allowed })
}

type NotFound = (path: string) => ApiError

function notFoundAt (live: boolean): NotFound {
  return path => {
    const off = !live && path.startsWith('/socket.io')
    return new ApiError('ERR_NOT_FOUND', off ? 'Live messaging is off on this server: it takes ENABLE_WEBSOCKETS=true.' : undefined)
  }
}

/** The one place where an error becomes a response. */
function answerError (logger: Context['logger']): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, req, res, _next) => {
    const refusal = toApiError(error)
    if (refusal !== error) logger.error({ err: error, path: req.path }, 'a request failed')
    if (res.headersSent) return void res.destroy()
    res.status(refusal.status).set(refusal.headers).json(refusal.toBody())
  }
}
