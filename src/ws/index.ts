import type { IncomingMessage, RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import {
  AuthSocketServer,
  type AuthSocketServerOptions,
  type AuthSocketServerParts,
} from './authSocketServer'
import { serveSocket, type SessionParts } from './session'

export interface LiveLayer {
  /** Answers the HTTP requests of Socket.IO. */
  handleRequest: RequestListener
  /** Takes a request to become a WebSocket. @returns false if it is not for Socket.IO */
  handleUpgrade: (req: IncomingMessage, socket: Socket, head: Buffer) => boolean
  /** Answers what clients have sent, then closes their connections; at the deadline in any case. */
  close: (deadlineMs?: number) => Promise<void>
}

/** Creates live messaging, at the root and under the routing prefix if there is one. */
export function createLive(
  prefix: string,
  parts: SessionParts & AuthSocketServerParts,
  options: AuthSocketServerOptions = {},
): LiveLayer {
  // Also with a slash at the end, for clients whose host has one.
  const namespaces = prefix === '' ? ['/'] : ['/', prefix, `${prefix}/`]
  const server = new AuthSocketServer(parts, (socket) => serveSocket(socket, parts), {
    namespaces,
    ...options,
  })
  parts.metrics.watch('sockets', () => server.size)
  parts.metrics.watch('socket_faults_total', () => server.counters.faults)
  parts.metrics.watch('socket_slow_readers_total', () => server.counters.slowReaders)
  return server
}
