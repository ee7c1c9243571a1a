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
  const underWay = new Set<ServerResponse>()
  const unanswered = new WeakMap<Socket, number>()
  /** Connections on which no request has come yet: Node counts them neither as idle nor as busy. */
  const unused = new Set<Socket>()
  const options = { keepAliveTimeout: KEEP_ALIVE, requestTimeout: REQUEST_TIMEOUT, requireHostHeader: false }
  const server = createServer(options, (req, res) => {
    const { socket } = req
    unused.delete(socket)
    const waiting = (unanswered.get(socket) ?? 0) + 1
    if (waiting > MAX_PIPELINED) return void socket.destroy()
    unanswered.set(socket, waiting)
    underWay.add(res)
    res.once('close', () => {
      underWay.delete(res)
      unanswered.set(socket, unanswered.get(socket)! - 1)
    })
    if (stopping) res.shouldKeepAlive = false
    listener(req, res)
  })
  server.timeout = REQUEST_TIMEOUT
  server.on('connection', socket => {
    unused.add(socket)
    socket.once('close', () => { unused.delete(socket) })
  })
  // What Node cannot parse never becomes a request.
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => { writeRefusal(socket, new ApiError(CLIENT_ERRORS[error.code ?? ''] ?? 'ERR_BAD_REQUEST')) })
  return {
    server,
    async close (deadline = CLOSE_DEADLINE) {
      stopping = true
      // Their clients must not send another request on the same connection.
      for (const res of underWay) res.shouldKeepAlive = false
      await drain(server, unused, { deadline, ...(idleGrace !== undefined && { idleGrace }) })
    },
    yieldUpgrades (taken) {
      server.on('upgrade', (req: IncomingMessage, socket: Socket) => {
        unused.delete(socket)
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
