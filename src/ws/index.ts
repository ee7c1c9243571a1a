import type { Server } from 'node:http'
import type { Brc103 } from '../auth/brc103'
import { AuthSocketServer, type AuthSocketServerOptions } from './authSocketServer'
import { serveSocket, type SessionParts } from './session'

export interface LiveLayer {
  /** Answers what clients have sent, then closes their connections; after so many milliseconds, whatever is unanswered. */
  close: (deadline?: number) => Promise<void>
}

/** Attaches live messaging to the HTTP server: at the root and, where there is one, under the routing prefix. */
export function attachLive (http: Server, prefix: string, parts: SessionParts & { brc103: Brc103 }, options: AuthSocketServerOptions = {}): AuthSocketServer {
  const namespaces = prefix === '' ? ['/'] : ['/', prefix]
  const server = new AuthSocketServer(http, parts.brc103, { namespaces, ...options })
    .on('connection', socket => { serveSocket(socket, parts) })
  parts.metrics.watch('sockets', () => server.size)
  parts.metrics.watch('socket_faults_total', () => server.counters.faults)
  parts.metrics.watch('socket_slow_readers_total', () => server.counters.slowReaders)
  return server
}
