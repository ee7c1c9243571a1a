/** The HTTP server below the application: keeps, limits and rejects connections. */
import {
  createServer,
  ServerResponse,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http'
import type { ListenOptions, Socket } from 'node:net'
import { ApiError, type ErrorCode } from '../contract/errors'
import { REQUEST_TIMEOUT_MS } from '../contract/protocol'
import type { Limits } from '../limits'
import { drain, type DrainTimes } from './drain'
import type { MessageClasses } from './exchange'
import { endSoon, writeErrorResponse } from './errorResponse'

/** Idle connections live longer than those of proxies and clients. */
const KEEP_ALIVE_MS = 65_000
const TCP_KEEP_ALIVE_MS = 60_000
/** How many unanswered requests a connection may have: each holds its answer in memory. */
const MAX_PIPELINED_REQUESTS = 8
/** How many connections may wait to be accepted. The system may allow fewer. */
const MAX_BACKLOG = 4096

export interface HttpServerParts {
  onRequest: RequestListener
  classes?: MessageClasses
  /** @returns false if the upgrade is not for it; the server then answers an ordinary request */
  onUpgrade?: (req: IncomingMessage, socket: Socket, head: Buffer) => boolean
  limits?: ConnectionLimits
}

type ConnectionLimits = Pick<Limits, 'address' | 'perAddress' | 'connections'>

export interface HttpServer {
  server: Server
  listen: (at: Pick<ListenOptions, 'port' | 'path' | 'exclusive'>) => Promise<void>
  /** Accepts no more connections, and resolves when all requests are answered or cut off. */
  close: (times: DrainTimes) => Promise<void>
}

export function createHttpServer({
  onRequest,
  classes,
  onUpgrade = () => false,
  limits,
}: HttpServerParts): HttpServer {
  const Response = classes?.ServerResponse ?? ServerResponse
  let stopping = false
  /** The open responses of each connection. */
  const connections = new Map<Socket, Set<ServerResponse>>()
  const options = {
    ...classes,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    requireHostHeader: false,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  }
  const server = createServer(options, (req, res) => {
    const open = connections.get(req.socket)
    if (open === undefined || open.size >= MAX_PIPELINED_REQUESTS) return void req.socket.destroy()
    open.add(res)
    res.once('close', () => {
      open.delete(res)
    })
    if (stopping) res.shouldKeepAlive = false
    onRequest(req, res)
  })
  server.timeout = REQUEST_TIMEOUT_MS
  server.on('connection', (socket) => {
    const open = new Set<ServerResponse>()
    connections.set(socket, open)
    // Not `once`, which keeps a wrapper for each of thousands of idle sockets.
    socket.on('close', () => {
      connections.delete(socket)
      // Node emits this itself for the first response, but not for those queued behind it.
      setImmediate(() => {
        for (const res of open) res.emit('close')
      })
    })
  })
  if (limits !== undefined) limitConnections(server, limits)
  // Node hands over all upgrades as soon as there is a listener.
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
    if (!onUpgrade(req, socket, head)) answerInstead(server, new Response(req), socket)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    writeErrorResponse(socket, new ApiError(CLIENT_ERRORS[error.code ?? ''] ?? 'ERR_BAD_REQUEST'))
  })
  return {
    server,
    async listen(at) {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen({ ...at, backlog: MAX_BACKLOG }, () => {
          resolve()
        })
      })
    },
    async close(times) {
      stopping = true
      // Clients must not send another request on these connections.
      for (const open of connections.values()) for (const res of open) res.shouldKeepAlive = false
      await drain(server, () => [...connections.keys()], times)
    },
  }
}

/** Rejects connections before Node sets them up for HTTP, which costs far more than accepting. */
function limitConnections(server: Server, limits: ConnectionLimits): void {
  const setUps = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (!admitConnection(socket, limits)) return
    for (const setUp of setUps) setUp.call(server, socket)
  })
}

/** Counts a connection. Rejects it if its address has too many, or floods the server. */
export function admitConnection(
  socket: Socket,
  { address, perAddress, connections }: ConnectionLimits,
): boolean {
  const key = address.ofConnection(socket)
  if (key === undefined) return true
  if (perAddress.isFlooding(key)) {
    socket.destroy()
    return false
  }
  if (!connections.hasRoom(key)) {
    writeErrorResponse(
      socket,
      new ApiError('ERR_SERVER_BUSY', 'Your address has too many connections to this server.'),
    )
    return false
  }
  connections.add(key)
  socket.on('close', () => {
    connections.remove(key)
  })
  return true
}

/** Answers an upgrade request as if it asked for no upgrade. */
function answerInstead(server: Server, res: ServerResponse, socket: Socket): void {
  const { req } = res
  // Node would no longer parse a body.
  if (
    Number(req.headers['content-length'] ?? 0) > 0 ||
    req.headers['transfer-encoding'] !== undefined
  )
    return writeErrorResponse(socket, new ApiError('ERR_BAD_REQUEST'))
  // Node no longer watches this connection.
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => {
    socket.destroy()
  })
  res.shouldKeepAlive = false
  res.assignSocket(socket)
  res.once('finish', () => {
    endSoon(socket)
  })
  socket.on('error', () => {
    socket.destroy()
  })
  server.emit('request', req, res)
}

/** Node's codes for requests that it gave up. Any other code is a bad request. */
const CLIENT_ERRORS: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: 'ERR_HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'ERR_REQUEST_TIMEOUT',
}
