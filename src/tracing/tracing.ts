import type { Request, RequestHandler } from 'express'
import type { Mailbox } from '../mailbox'

export interface Tracing {
  /**
   * Makes a span for each request. It must be the first middleware. Undefined if tracing is off.
   * @param routeOf the name of a path's route
   * @param isTrusted whether a request may continue the trace that it names
   */
  middleware?: (
    routeOf: (path: string) => string,
    isTrusted: (req: Request) => boolean,
  ) => RequestHandler
  /** Wraps a mailbox to make a span for each operation. */
  trace: (mailbox: Mailbox) => Mailbox
  /** Sends the remaining spans. */
  close: () => Promise<void>
}

/** Tracing is off. */
export const noTracing: Tracing = {
  trace: (mailbox) => mailbox,
  close: async () => {},
}
