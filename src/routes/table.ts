/** Finds the route of a path, for the router, the metrics and the answers to unknown paths. */
import type { RequestHandler } from 'express'
import { ApiError } from '../contract/errors'
import type { Route } from './route'

/** The last segment of a route that serves the files of a folder. */
const FILE = ':file'

export interface RouteTable {
  /** The route of a request's path, for any method. */
  find: (path: string) => Route | undefined
  /** The route's path without the prefix; `other` for unknown paths, to bound metric labels. */
  nameOf: (path: string) => string
  /** Serves the routes of one kind of access and passes other requests on. */
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
    // Express's router yields to the event loop for each router without a match, which is slower.
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

/** Like Express, ignores the case of a path and a slash at its end. */
function normalize(path: string): string {
  return path.length > 1 && path.endsWith('/')
    ? path.slice(0, -1).toLowerCase()
    : path.toLowerCase()
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}
