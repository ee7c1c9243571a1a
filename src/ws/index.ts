import type { Server } from 'node:http'
import type { Brc103 } from '../auth/brc103'
import { AuthSocketServer, type AuthSocketServerOptions } from './authSocketServer'
import { serveSocket, type SessionParts } from './session'

export interface LiveLayer {
  close: () => Promise<void>
}

/** Attaches live messaging to the HTTP server: at the root and, where there is one, under the routing prefix. */
export function attachLive (http: Server, prefix: string, parts: SessionParts & { brc103: Brc103 }, options: AuthSocketServerOptions = {}): AuthSocketServer {
  const namespaces = prefix === '' ? ['/'] : ['/', prefix]
  return new AuthSocketServer(http, parts.brc103, { namespaces, ...options })
    .on('connection', socket => { serveSocket(socket, parts) })
}
