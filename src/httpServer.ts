/** The HTTP server beneath the application: how connections are kept, bounded and refused. */
import { createServer, ServerResponse, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { drain } from './drain'
import { ApiError, type ErrorCode } from './errors'
import { writeRefusal } from './refusal'

/** How long an idle connection is kept, in milliseconds: longer than proxies and clients keep theirs. */
const KEEP_ALIVE = 65_000
/** How long a request may take to arrive, and a connection to stand still in the middle of one, in milliseconds. */
const REQUEST_TIMEOUT = 120_000
/** How many requests one connection may have unanswered: each holds its answer until it is read. */
const MAX_PIPELINED = 8

/** How long closing waits for what is under way, in milliseconds. */
const CLOSE_DEADLINE = 8000

export interface HttpServer {
  server: Server
  /**
   * Takes no more connections, and resolves when what was under way is answered.
   * @param deadline when to cut off whatever is not, in milliseconds from now
   */
  close: (deadline?: number) => Promise<void>
  /**
   * Leaves upgrades of some paths to somebody else who listens for them. Node hands every upgrade over as soon as
   * anybody listens: those that nobody makes, such as to HTTP/2, are answered as if they had not been asked for.
   * @param taken the beginning of the paths whose upgrades somebody else takes
   */
  yieldUpgrades: (taken: string) => void
}

export function createHttpServer (listener: RequestListener, { idleGrace }: { idleGrace?: number } = {}): HttpServer {
  let stopping = false
  /** Responses that are not closed yet, by their connection. */
  const connections = new Map<Socket, Set<ServerResponse>>()
  const options = { keepAliveTimeout: KEEP_ALIVE, requestTimeout: REQUEST_TIMEOUT, requireHostHeader: false }
  const server = createServer(options, (req, res) => {
    const underWay = connections.get(req.socket)
    if (underWay === undefined || underWay.size >= MAX_PIPELINED) return void req.socket.destroy()
    underWay.add(res)
    res.once('close', () => { underWay.delete(res) })
    if (stopping) res.shouldKeepAlive = false
    listener(req, res)
  })
  server.timeout = REQUEST_TIMEOUT
  server.on('connection', socket => {
    const underWay = new Set<ServerResponse>()
    connections.set(socket, underWay)
    socket.once('close', () => {
      connections.delete(socket)
      // Node says so itself of the response whose turn it was, but not of those that were waiting behind it.
      setImmediate(() => { for (const res of underWay) res.emit('close') })
    })
  })
  // What Node cannot parse never becomes a request.
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => { writeRefusal(socket, new ApiError(CLIENT_ERRORS[error.code ?? ''] ?? 'ERR_BAD_REQUEST')) })
  return {
    server,
    async close (deadline = CLOSE_DEADLINE) {
      stopping = true
      // Their clients must not send another request on the same connection.
      for (const underWay of connections.values()) for (const res of underWay) res.shouldKeepAlive = false
      await drain(server, () => [...connections.keys()], { deadline, ...(idleGrace !== undefined && { idleGrace }) })
    },
    yieldUpgrades (taken) {
      server.on('upgrade', (req: IncomingMessage, socket: Socket) => {
        if (req.url?.startsWith(taken) !== true) answerInstead(server, req, socket)
      })
    }
  }
}

/** Answers a request that asked for an upgrade as if it had not. */
function answerInstead (server: Server, req: IncomingMessage, socket: Socket): void {
  // A body would no longer be parsed.
  if (Number(req.headers['content-length'] ?? 0) > 0 || req.headers['transfer-encoding'] !== undefined) return writeRefusal(socket, new ApiError('ERR_BAD_REQUEST'))
  const res = new ServerResponse(req)
  res.shouldKeepAlive = false
  res.assignSocket(socket)
  res.once('finish', () => { socket.end() })
  socket.on('error', () => { socket.destroy() })
  server.emit('request', req, res)
}

/** What Node says of a request that it gave up, and what it is called here; anything else is a bad request. */
const CLIENT_ERRORS: Record<string, ErrorCode> = { HPE_HEADER_OVERFLOW: 'ERR_HEADERS_TOO_LARGE', ERR_HTTP_REQUEST_TIMEOUT: 'ERR_REQUEST_TIMEOUT' }
