/** The HTTP server beneath the application: how connections are kept, bounded and refused. */
import { createServer, ServerResponse, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ApiError } from './errors'

/** How long an idle connection is kept, in milliseconds: longer than proxies and clients keep theirs. */
const KEEP_ALIVE = 65_000
/** How long a request may take to arrive, and a connection to stand still in the middle of one, in milliseconds. */
const REQUEST_TIMEOUT = 120_000
/** How many requests one connection may have unanswered: each holds its answer until it is read. */
const MAX_PIPELINED = 8

export function createHttpServer (listener: RequestListener): Server {
  const unanswered = new WeakMap<Socket, number>()
  const options = { keepAliveTimeout: KEEP_ALIVE, requestTimeout: REQUEST_TIMEOUT }
  const server = createServer(options, (req, res) => {
    const { socket } = req
    const waiting = (unanswered.get(socket) ?? 0) + 1
    if (waiting > MAX_PIPELINED) return void socket.destroy()
    unanswered.set(socket, waiting)
    res.once('close', () => { unanswered.set(socket, unanswered.get(socket)! - 1) })
    listener(req, res)
  })
  server.timeout = REQUEST_TIMEOUT
  server.on('clientError', (_error, socket) => { refuse(socket) })
  return server
}

/**
 * Answers requests that ask for an upgrade nobody here makes, such as to HTTP/2, as if they had not asked. Node
 * hands every upgrade over as soon as anybody listens for them, as the live layer does.
 * @param taken the beginning of the paths whose upgrades somebody else takes
 */
export function ignoreOtherUpgrades (server: Server, taken: string): void {
  server.on('upgrade', (req: IncomingMessage, socket: Socket) => {
    if (req.url?.startsWith(taken) === true) return
    // A body would no longer be parsed.
    if (Number(req.headers['content-length'] ?? 0) > 0 || req.headers['transfer-encoding'] !== undefined) return refuse(socket)
    const res = new ServerResponse(req)
    res.shouldKeepAlive = false
    res.assignSocket(socket)
    res.once('finish', () => { socket.end() })
    socket.on('error', () => { socket.destroy() })
    server.emit('request', req, res)
  })
}

/** What Node cannot parse never becomes a request: it is answered on the bare connection, which then ends. */
function refuse (socket: Duplex): void {
  if (!socket.writable) return void socket.destroy()
  const body = JSON.stringify(new ApiError('ERR_BAD_REQUEST').toBody())
  socket.end([
    'HTTP/1.1 400 Bad Request',
    'content-type: application/json; charset=utf-8',
    'access-control-allow-origin: *',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body
  ].join('\r\n'))
}
