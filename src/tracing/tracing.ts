import type { Request, RequestHandler } from 'express'
import type { Mailbox } from '../mailbox'

/** Where traces go, if they go anywhere. */
export interface Tracing {
  /**
   * To be mounted before everything else: a span for each request.
   * @param routeOf the route's name, for a path
   * @param isTrusted whether the trace that a request names is taken for its own: anybody may name any
   */
  middleware: (
    routeOf: (path: string) => string,
    isTrusted: (req: Request) => boolean,
  ) => RequestHandler
  /** The same mailbox, with a span for each of its operations. */
  trace: (mailbox: Mailbox) => Mailbox
  /** Sends what is left. */
  close: () => Promise<void>
}

/** Nothing is followed, and nothing wrapped. */
export const noTracing: Tracing = {
  middleware: () => (_req, _res, next) => {
    next()
  },
  trace: (mailbox) => mailbox,
  close: async () => {},
}
