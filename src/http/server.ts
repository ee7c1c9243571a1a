/** The HTTP server beneath the application: how connections are kept, bounded and refused. */
import {
  createServer,
  ServerResponse,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http'
import type { Socket } from 'node:net'
import { ApiError, type ErrorCode } from '../contract/errors'
import { drain } from './drain'
import { endSoon, writeErrorResponse } from './errorResponse'

/** How long an idle connection is kept: longer than proxies and clients keep theirs. */
const KEEP_ALIVE_MS = 65_000
/** How long a request may take to arrive, and a connection to stand still in the middle of one. */
const REQUEST_TIMEOUT_MS = 120_000
/** After how long without traffic the system asks whether the other side of a connection is still there. */
const TCP_KEEP_ALIVE_MS = 60_000
/** How many requests one connection may have unanswered: each holds its answer until it is read. */
const MAX_PIPELINED = 8
/** How many connections may wait to be accepted. The system may allow fewer. */
const BACKLOG = 4096
const CLOSE_DEADLINE_MS = 8000

export interface HttpServerParts {
  onRequest: RequestListener
  /** Takes the upgrades that it knows; of others it returns false, and they are answered as ordinary requests. */
  onUpgrade?: (req: IncomingMessage, socket: Socket, head: Buffer) => boolean
  /** Whether a new connection is served; one that is not has been refused. */
  accept?: (socket: Socket) => boolean
  /** How long a stop keeps idle connections, in milliseconds. */
  idleGrace?: number
}

export interface HttpServer {
  server: Server
  /** @returns the port, which the system chooses if 0 is asked for */
  listen: (port: number) => Promise<void>
  /**
   * Takes no more connections, and resolves when what was under way is answered.
   * @param deadline when to cut off whatever is not, in milliseconds from now
   */
  close: (deadline?: number) => Promise<void>
}

export function createHttpServer({
  onRequest,
  onUpgrade = () => false,
  accept = () => true,
  idleGrace,
}: HttpServerParts): HttpServer {
  let stopping = false
  /** Responses that are not closed yet, by their connection. */
  const connections = new Map<Socket, Set<ServerResponse>>()
  const options = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    requireHostHeader: false,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  }
  const server = createServer(options, (req, res) => {
    const underWay = connections.get(req.socket)
    if (underWay === undefined || underWay.size >= MAX_PIPELINED) return void req.socket.destroy()
    underWay.add(res)
    res.once('close', () => {
      underWay.delete(res)
    })
    if (stopping) res.shouldKeepAlive = false
    onRequest(req, res)
  })
  server.timeout = REQUEST_TIMEOUT_MS
  server.on('connection', (socket) => {
    const underWay = new Set<ServerResponse>()
    connections.set(socket, underWay)
    socket.once('close', () => {
      connections.delete(socket)
      // Node emits this itself for the response whose turn it was, but not for those that were waiting behind it.
      setImmediate(() => {
        for (const res of underWay) res.emit('close')
      })
    })
  })
  filterConnections(server, accept)
  // Node hands over all upgrades as soon as there is a listener.
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
    if (!onUpgrade(req, socket, head)) answerInstead(server, req, socket)
  })
  // What Node cannot parse never becomes a request.
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    writeErrorResponse(socket, new ApiError(CLIENT_ERRORS[error.code ?? ''] ?? 'ERR_BAD_REQUEST'))
  })
  return {
    server,
    async listen(port) {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen({ port, backlog: BACKLOG }, () => {
          resolve()
        })
      })
    },
    async close(deadline = CLOSE_DEADLINE_MS) {
      stopping = true
      // Their clients must not send another request on the same connection.
      for (const underWay of connections.values())
        for (const res of underWay) res.shouldKeepAlive = false
      await drain(server, () => [...connections.keys()], {
        deadline,
        ...(idleGrace !== undefined && { idleGrace }),
      })
    },
  }
}

/** Refuses connections before Node sets them up for HTTP, which costs far more than to accept them. */
function filterConnections(server: Server, accept: (socket: Socket) => boolean): void {
  const setUps = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (!accept(socket)) return
    for (const setUp of setUps) setUp.call(server, socket)
  })
}

/** Answers a request that asked for an upgrade as if it had not. */
function answerInstead(server: Server, req: IncomingMessage, socket: Socket): void {
  // A body would no longer be parsed.
  if (
    Number(req.headers['content-length'] ?? 0) > 0 ||
    req.headers['transfer-encoding'] !== undefined
  )
    return writeErrorResponse(socket, new ApiError('ERR_BAD_REQUEST'))
  // Node no longer watches this connection.
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => {
    socket.destroy()
  })
  const res = new ServerResponse(req)
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

/** What Node says of a request that it gave up, and what it is called here; anything else is a bad request. */
const CLIENT_ERRORS: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: 'ERR_HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'ERR_REQUEST_TIMEOUT',
}
