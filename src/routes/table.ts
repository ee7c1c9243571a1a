/** Finds the route of a path: the router, the metrics' names and the answers to unknown paths use it. */
import type { RequestHandler } from 'express'
import { ApiError } from '../contract/errors'
import type { Route } from './route'

/** The end of a route that serves the files of a folder. */
const FILE = ':file'

export interface RouteTable {
  /** The route of a request's path, whatever its method. */
  find: (path: string) => Route | undefined
  /** The route's path without the prefix. `other` for an unknown path, which bounds the names. */
  nameOf: (path: string) => string
  /** Serves the routes of one kind of access; passes other requests on. */
  serve: (access: Route['access']) => RequestHandler
}

export function createRouteTable(prefix: string, routes: Route[]): RouteTable {
  const byPath = new Map(
    routes.map((route) => [
      normalize(route.atRoot === true ? route.path : `${prefix}${route.path}`),
      route,
    ]),
  )
  const find = (path: string): Route | undefined => {
    const plain = normalize(path)
    return byPath.get(plain) ?? byPath.get(`${folderOf(plain)}${FILE}`)
  }
  return {
    find,
    nameOf: (path) => find(path)?.path ?? 'other',
    // Express's own router waits for a turn of the event loop at each table that has no match.
    serve: (access) => (req, res, next) => {
      const route = find(req.path)
      if (route?.access !== access) return next()
      const { method, handler } = route
      if (req.method !== method.toUpperCase() && !(req.method === 'HEAD' && method === 'get'))
        throw methodNotAllowed(route)
      req.params = { file: decodeURIComponent(req.path.slice(folderOf(req.path).length)) }
      return handler(req, res, next)
    },
  }
}

export function methodNotAllowed({ method }: Route): ApiError {
  const allow = method.toUpperCase()
  return new ApiError(
    'ERR_METHOD_NOT_ALLOWED',
    `This path accepts only ${allow}.`,
    {},
    { headers: { allow } },
  )
}

/** Paths are compared as Express does: in any case, and with or without a slash at their end. */
function normalize(path: string): string {
  return path.length > 1 && path.endsWith('/')
    ? path.slice(0, -1).toLowerCase()
    : path.toLowerCase()
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}
