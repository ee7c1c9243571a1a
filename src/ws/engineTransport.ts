import { Server as EngineServer } from 'engine.io'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket as TcpSocket } from 'node:net'
import type { Socket } from 'socket.io'
import { WebSocketServer, type ServerOptions } from 'ws'
import { ApiError, toApiError, type FaultLog } from '../contract/errors'
import { SOCKET_PATH } from '../contract/protocol'
import { cors } from '../http/cors'
import { exchangeOf } from '../http/exchange'
import { sendErrorResponse, writeErrorResponse } from '../http/errorResponse'
import { mergeSlashes, toPath } from '../http/target'
import type { Limits } from '../limits'
import { Connection, RECEIVED_BYTES, type EngineSocket } from './connection'
import { receivePoll } from './polls'

/** How long a connection that asks to become a WebSocket may take to become one. */
const UPGRADE_TIMEOUT_MS = 15_000
/** How often a connection that polls may ask to become a WebSocket. */
const MAX_UPGRADES = 3
/**
 * How many fragments a message of a WebSocket may have, and how many pieces of it may wait: each
 * takes memory.
 */
const MAX_FRAGMENTS = 64
const MAX_BUFFERED_PIECES = 16 * 1024

export interface EngineTransportParts {
  limits: Limits
  logger: FaultLog
  /** How many namespaces a client may enter. */
  namespaces: number
  /** Creates the id of a connection, which only its client may know. Default: Engine.IO's. */
  createSessionId?: (() => string) | undefined
  /** Called for each packet that is dropped. */
  onFault: () => void
}

/** A request as Engine.IO keeps it. */
interface EngineRequest extends IncomingMessage {
  /** The parsed query. */
  _query: Record<string, string>
}

/** Engine.IO, with limits on connections, requests and memory: what carries Socket.IO. */
export class EngineTransport {
  readonly engine = new EngineServer({
    maxHttpBufferSize: RECEIVED_BYTES,
    httpCompression: false,
    wsEngine: BoundedWebSocketServer as never,
  })

  /** By the id of Engine.IO's connection. */
  readonly #connections = new Map<string, { connection: Connection; upgrades: number }>()
  /** What to do when a request to become a WebSocket has become a connection. */
  readonly #onOpened = new WeakMap<object, (connection: Connection) => void>()
  #isStopping = false

  constructor(private readonly parts: EngineTransportParts) {
    const { createSessionId } = parts
    if (createSessionId !== undefined) Object.assign(this.engine, { generateId: createSessionId })
    this.engine.on('connection', (engine: EngineSocket) => {
      this.#watch(engine)
    })
  }

  /** The connection that carries a socket; undefined if it has closed. */
  connectionOf({ conn }: Socket): Connection | undefined {
    return this.#connections.get((conn as unknown as { id: string }).id)?.connection
  }

  /** Accepts no new connections. */
  stopAccepting(): void {
    this.#isStopping = true
  }

  close(): void {
    this.engine.close()
  }

  /**
   * Answers an HTTP request of Socket.IO's: one that opens a connection by polling, that polls, or
   * that sends.
   */
  readonly handleRequest = (req: IncomingMessage, res: ServerResponse): void => {
    cors(req, res, () => {
      this.#handle(req, res).catch((error: unknown) => {
        const apiError = toApiError(error, this.parts.logger)
        if (!res.headersSent) sendErrorResponse(res, apiError)
        this.#find(req)?.connection.end()
      })
    })
  }

  /** Takes a request to become a WebSocket. @returns false if it is not for Socket.IO */
  readonly handleUpgrade = (req: IncomingMessage, socket: TcpSocket, head: Buffer): boolean => {
    req.url = mergeSlashes(toPath(req.url!))
    if (!req.url.startsWith(SOCKET_PATH)) return false
    // Without a listener for errors, a reset of the connection would end the process.
    const destroy = (): void => {
      socket.destroy()
    }
    socket.on('error', destroy)
    this.#upgrade(req, socket, head).catch((error: unknown) => {
      writeErrorResponse(socket, toApiError(error, this.parts.logger))
    })
    return true
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { j: jsonp, sid = '' } = queryOf(req)
    if (jsonp !== undefined)
      throw new ApiError('ERR_BAD_REQUEST', 'This server does not answer with scripts (JSONP).')
    if (sid === '') this.#checkOpening(exchangeOf(req).address)
    const known = this.#find(req)
    if (req.method !== 'POST' || known === undefined)
      return this.engine.handleRequest(req as never, res as never)
    const received = await receivePoll(req, res, known.connection, this.parts.limits)
    if (received !== undefined) this.engine.handleRequest(received as never, res as never)
  }

  async #upgrade(req: IncomingMessage, socket: TcpSocket, head: Buffer): Promise<void> {
    const { limits } = this.parts
    const address = limits.address.of(req)
    const timer = setTimeout(() => {
      socket.destroy()
    }, UPGRADE_TIMEOUT_MS).unref()
    const stopTimer = (): void => {
      clearTimeout(timer)
      socket.off('close', stopTimer)
    }
    socket.on('close', stopTimer)
    await limits.perAddress.consume(address)
    const known = this.#find(req)
    if (known === undefined) this.#checkOpening(address)
    else if (++known.upgrades > MAX_UPGRADES)
      throw new ApiError('ERR_BAD_REQUEST', 'This connection has asked for an upgrade too often.')
    if (socket.destroyed) return
    const { method, url, headers } = req
    // Engine.IO keeps the request as long as the connection: a copy, without headers, is smaller.
    const copy = { method, url, headers, socket, connection: socket }
    const onOpened = (): void => {
      stopTimer()
      copy.headers = {}
    }
    if (known === undefined) {
      this.#onOpened.set(copy, (connection) => {
        onOpened()
        connection.follow(socket)
      })
    } else {
      known.connection.engine.once('upgrade', onOpened)
      known.connection.follow(socket)
    }
    this.engine.handleUpgrade(copy as never, socket, head)
  }

  /** @throws ApiError ERR_STOPPING, ERR_SERVER_BUSY */
  #checkOpening(address: string): void {
    if (this.#isStopping) throw new ApiError('ERR_STOPPING')
    if (!this.parts.limits.sockets.hasRoom(address))
      throw new ApiError('ERR_SERVER_BUSY', 'Your address has too many sockets on this server.')
  }

  #watch(engine: EngineSocket): void {
    const opened = engine as unknown as { id: string; request: EngineRequest }
    const { id, request } = opened
    const { limits, namespaces, onFault } = this.parts
    const address = limits.address.of(request)
    const connection = new Connection(engine, { address, limits, namespaces, onFault })
    this.#connections.set(id, { connection, upgrades: 0 })
    limits.sockets.add(address)
    engine.on('close', () => {
      this.#connections.delete(id)
      limits.sockets.remove(address)
    })
    this.#onOpened.get(request)?.(connection)
    this.#onOpened.delete(request)
    // Socket.IO reads no more of it, and would keep all of it as long as the connection.
    const { url, _query } = request
    opened.request = { url, _query, headers: {}, connection: {} } as never
  }

  /**
   * The connection that a request names: it polls, or upgrades one that polled. Undefined if it
   * opens one.
   */
  #find(req: IncomingMessage): { connection: Connection; upgrades: number } | undefined {
    return this.#connections.get(queryOf(req).sid ?? '')
  }
}

/** Limits the memory that a message takes before it has arrived whole. */
class BoundedWebSocketServer extends WebSocketServer {
  constructor(options: ServerOptions) {
    super({
      ...options,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: MAX_BUFFERED_PIECES,
    } as ServerOptions)
  }
}

/**
 * A request's query, read as Engine.IO reads it: decoded, and of parameters that come twice the
 * last one.
 */
function queryOf(req: IncomingMessage): Record<string, string | undefined> {
  return Object.fromEntries(new URL(req.url!, 'http://socket.invalid').searchParams)
}
