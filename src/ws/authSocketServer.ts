import { Server as EngineServer } from 'engine.io'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket as TcpSocket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Server, type Namespace, type Socket } from 'socket.io'
import { WebSocketServer, type ServerOptions } from 'ws'
import type { Brc103 } from '../auth/brc103'
import { ApiError, toApiError, type FaultLog } from '../contract/errors'
import { cors } from '../http/cors'
import { exchangeOf } from '../http/exchange'
import { sendErrorResponse, writeErrorResponse } from '../http/errorResponse'
import { mergeSlashes, toPath } from '../http/target'
import { waitUntilQuiet } from '../lib/quiet'
import type { Limits } from '../limits'
import { pointsOf } from '../limits/meter'
import { SOCKET_PATH, type IdentityKey } from '../contract/protocol'
import {
  AuthSocket,
  type AuthSocketCounters,
  type AuthSocketHost,
  type AuthSocketOptions,
} from './authSocket'
import { Connection, RECEIVED_BYTES, type EngineSocket } from './connection'
import type { MembershipSealer } from './memberships'
import { receivePoll } from './polls'
import { numberOf, RecoveryAdapter, sealedOf } from './recovery'

export interface AuthSocketServerOptions extends Partial<AuthSocketOptions> {
  /** Namespaces that clients may connect to, `/` by default. */
  namespaces?: string[]
  /** For how many milliseconds a client whose connection broke may come back as if nothing had happened. */
  recoveryTime?: number
  /** For how many milliseconds a server that stops still hears what clients had sent before they knew. */
  grace?: number
}

export interface AuthSocketServerParts {
  brc103: Brc103
  sealer: MembershipSealer
  limits: Limits
  /** Told of each identity that was proven. */
  onHandshake: () => void
  logger: FaultLog
}

const DEFAULTS: AuthSocketOptions = {
  silence: 2000,
  proofTimeout: 30_000,
  maxUnsentBytes: 8 * 1024 * 1024,
  maxFaults: 10,
}
const RECOVERY_TIME_MS = 2 * 60 * 1000
const GRACE_MS = 250
/** How long a connection may be without entering a namespace. */
const CONNECT_TIMEOUT_MS = 10_000
/** How long a connection that asks to become a WebSocket may take to become one. */
const UPGRADE_TIMEOUT_MS = 15_000
/** How often a connection that polls may try to. */
const MAX_UPGRADES = 3
/** How long closing waits for what is unanswered. */
const CLOSE_DEADLINE_MS = 8000
/** How many fragments a message of a WebSocket may have, and how many pieces of it may wait: each takes memory of its own. */
const MAX_FRAGMENTS = 64
const MAX_BUFFERED_PIECES = 16 * 1024

type ConnectionListener = (socket: AuthSocket) => void

/** Socket.IO with BRC-103 on every socket; used as one uses Socket.IO: `server.on('connection', socket => …)`. */
export class AuthSocketServer {
  readonly counters: AuthSocketCounters = { faults: 0, slowReaders: 0, asked: 0, unanswered: 0 }
  readonly #engine: EngineServer
  readonly #io: Server
  readonly #namespaces: string[]
  readonly #options: AuthSocketOptions
  readonly #sockets = new Map<string, AuthSocket>()
  /** The sockets of each identity, the oldest first. */
  readonly #identities = new Map<IdentityKey, Set<AuthSocket>>()
  /** By the id of Engine.IO's connection. */
  readonly #connections = new Map<string, { connection: Connection; upgrades: number }>()
  /** What to do when a request to become a WebSocket has become a connection. */
  readonly #opening = new WeakMap<IncomingMessage, (connection: Connection) => void>()
  readonly #listeners: ConnectionListener[] = []
  readonly #host: AuthSocketHost
  readonly #grace: number
  #stopping = false

  constructor(
    private readonly parts: AuthSocketServerParts,
    options: AuthSocketServerOptions = {},
  ) {
    const {
      namespaces = ['/'],
      recoveryTime = RECOVERY_TIME_MS,
      grace = GRACE_MS,
      ...rest
    } = options
    this.#namespaces = namespaces
    this.#options = { ...DEFAULTS, ...rest }
    this.#grace = grace
    this.#host = this.#createHost()
    this.#engine = new EngineServer({
      maxHttpBufferSize: RECEIVED_BYTES,
      httpCompression: false,
      wsEngine: BoundedWebSocketServer as never,
    })
    this.#engine.on('connection', (engine: EngineSocket) => {
      this.#watch(engine)
    })
    this.#io = new Server({
      serveClient: false,
      connectTimeout: CONNECT_TIMEOUT_MS,
      adapter: RecoveryAdapter,
      connectionStateRecovery: { maxDisconnectionDuration: recoveryTime },
    })
    this.#io.bind(this.#engine)
    for (const name of namespaces) this.#serve(this.#io.of(name))
  }

  on(_eventName: 'connection', listener: ConnectionListener): this {
    this.#listeners.push(listener)
    return this
  }

  /** How many clients are there, those included that may still come back. */
  get size(): number {
    return this.#sockets.size
  }

  /** Answers a request of Socket.IO's: one that opens a connection by polling, that polls, or that sends. */
  readonly handleRequest = (req: IncomingMessage, res: ServerResponse): void => {
    cors(req, res, () => {
      this.#handle(req, res).catch((error: unknown) => {
        const refusal = toApiError(error, this.parts.logger)
        if (!res.headersSent) sendErrorResponse(res, refusal)
        this.#connections.get(sessionOf(req) ?? '')?.connection.end()
      })
    })
  }

  /** Takes a request to become a WebSocket. @returns false if it is not for Socket.IO */
  readonly handleUpgrade = (req: IncomingMessage, socket: TcpSocket, head: Buffer): boolean => {
    req.url = mergeSlashes(toPath(req.url!))
    if (!req.url.startsWith(SOCKET_PATH)) return false
    // A reset of a connection that nothing listens to would end the process.
    const destroy = (): void => {
      socket.destroy()
    }
    socket.on('error', destroy)
    this.#upgrade(req, socket, head).catch((error: unknown) => {
      writeErrorResponse(socket, toApiError(error, this.parts.logger))
    })
    return true
  }

  /**
   * Answers what clients have sent, then closes every connection, so that they look for a server again.
   * @param deadline when to close whatever is unanswered, in milliseconds from now
   */
  async close(deadline = CLOSE_DEADLINE_MS): Promise<void> {
    this.#stopping = true
    const end = Date.now() + deadline
    if (this.#sockets.size > 0) await pause(Math.min(this.#grace, deadline))
    await waitUntilQuiet(
      () => this.counters.asked,
      end,
      () => this.counters.unanswered > 0,
    )
    for (const namespace of this.#io._nsps.values()) await namespace.adapter.close()
    this.#engine.close()
    for (const id of [...this.#sockets.keys()]) this.#end(id, 'server shutting down')
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (isJsonp(req))
      throw new ApiError('ERR_BAD_REQUEST', 'This server does not answer with scripts (JSONP).')
    const sid = sessionOf(req)
    if (sid === undefined) this.#checkOpening(exchangeOf(req).address)
    const known = this.#connections.get(sid ?? '')
    if (req.method !== 'POST' || known === undefined)
      return this.#engine.handleRequest(req as never, res as never)
    const received = await receivePoll(req, res, known.connection, this.parts.limits)
    if (received !== undefined) this.#engine.handleRequest(received as never, res as never)
  }

  async #upgrade(req: IncomingMessage, socket: TcpSocket, head: Buffer): Promise<void> {
    const { limits } = this.parts
    const address = limits.address.of(req)
    const timer = setTimeout(() => {
      socket.destroy()
    }, UPGRADE_TIMEOUT_MS).unref()
    const inTime = (): void => {
      clearTimeout(timer)
    }
    socket.once('close', inTime)
    await limits.perAddress.consume(address)
    const known = this.#connections.get(sessionOf(req) ?? '')
    if (known === undefined) this.#checkOpening(address)
    else if (++known.upgrades > MAX_UPGRADES)
      throw new ApiError('ERR_BAD_REQUEST', 'This connection has asked for an upgrade too often.')
    if (socket.destroyed) return
    if (known === undefined) {
      this.#opening.set(req, (connection) => {
        inTime()
        connection.follow(socket)
      })
    } else {
      known.connection.engine.once('upgrade', inTime)
      known.connection.follow(socket)
    }
    this.#engine.handleUpgrade(req as never, socket, head)
  }

  /** @throws ApiError ERR_STOPPING, ERR_SERVER_BUSY */
  #checkOpening(address: string): void {
    if (this.#stopping) throw new ApiError('ERR_STOPPING')
    if (!this.parts.limits.sockets.hasRoom(address))
      throw new ApiError('ERR_SERVER_BUSY', 'Your address has too many sockets on this server.')
  }

  #watch(engine: EngineSocket): void {
    const { id, request } = engine as unknown as { id: string; request: IncomingMessage }
    const { limits } = this.parts
    const address = limits.address.of(request)
    const connection = new Connection(engine, {
      address,
      limits,
      namespaces: this.#namespaces.length,
      onFault: () => {
        this.counters.faults++
      },
    })
    this.#connections.set(id, { connection, upgrades: 0 })
    limits.sockets.add(address)
    engine.once('close', () => {
      this.#connections.delete(id)
      limits.sockets.remove(address)
    })
    this.#opening.get(request)?.(connection)
  }

  #serve(namespace: Namespace): void {
    const adapter = namespace.adapter as RecoveryAdapter
    adapter.onExpired = (id) => {
      this.#end(id, 'connection lost')
    }
    namespace.on('connection', (io: Socket) => {
      const connection = this.#connections.get(
        (io.conn as unknown as { id: string }).id,
      )?.connection
      if (connection === undefined) return void io.disconnect(true)
      const { offset } = io.handshake.auth as { offset?: unknown }
      const shown = typeof offset === 'string' ? offset : ''
      const returning = this.parts.sealer.open(sealedOf(shown))
      if (returning !== undefined) connection.introduce()
      const known = io.recovered ? this.#sockets.get(io.id) : undefined
      const socket = known ?? new AuthSocket(io, connection, this.#options, this.#host, returning)
      adapter.register(io, socket.outbox)
      io.on('disconnect', (reason) => {
        this.#lose(socket, adapter, reason)
      })
      if (known === undefined) this.#add(socket)
      else known.reattach(io, connection, numberOf(shown))
    })
  }

  #lose(socket: AuthSocket, adapter: RecoveryAdapter, reason: string): void {
    if (socket.identityKey !== undefined && adapter.isAway(socket.id)) return socket.detach()
    adapter.forget(socket.id)
    this.#end(socket.id, reason)
  }

  #add(socket: AuthSocket): void {
    this.#sockets.set(socket.id, socket)
    for (const listener of this.#listeners) listener(socket)
  }

  #end(id: string, reason: string): void {
    const socket = this.#sockets.get(id)
    if (socket === undefined) return
    this.#sockets.delete(id)
    const ofIdentity = this.#identities.get(socket.identityKey ?? '')
    ofIdentity?.delete(socket)
    if (ofIdentity?.size === 0) this.#identities.delete(socket.identityKey!)
    socket.end(reason)
  }

  #createHost(): AuthSocketHost {
    const { brc103, sealer, limits, logger, onHandshake } = this.parts
    return {
      counters: this.counters,
      brc103,
      sealer,
      async admit(address, identityKey, bytes) {
        // The frame was counted for its address when it arrived.
        await limits.perAddress.consume(address, 0)
        if (identityKey !== undefined)
          await limits.perIdentity.consume(identityKey, 1 + pointsOf({ bytes }))
      },
      openAccount: (direction, owners, end) => limits[direction].open(owners, end),
      onProven: (socket) => {
        onHandshake()
        this.#makeRoom(socket)
      },
      onLost: ({ id }) => {
        for (const { adapter } of this.#io._nsps.values()) (adapter as RecoveryAdapter).expire(id)
      },
      onError: (error) => {
        toApiError(error, logger)
      },
    }
  }

  /** The oldest socket of an identity that has too many makes room for a new one. */
  #makeRoom(socket: AuthSocket): void {
    const ofIdentity = this.#identities.get(socket.identityKey!) ?? new Set()
    this.#identities.set(socket.identityKey!, ofIdentity.add(socket))
    const [oldest] = ofIdentity
    if (ofIdentity.size <= (this.parts.limits.socketsPerIdentity ?? Infinity)) return
    oldest!.disconnect()
    this.#host.onLost(oldest!)
  }
}

/** Bounds what a client can make the server keep of a message that is not whole. */
class BoundedWebSocketServer extends WebSocketServer {
  constructor(options: ServerOptions) {
    super({
      ...options,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: MAX_BUFFERED_PIECES,
    } as ServerOptions)
  }
}

/** The id of the connection that a request names: it polls, or upgrades one that polled. Undefined if it opens one. */
function sessionOf(req: IncomingMessage): string | undefined {
  const { sid = '' } = queryOf(req)
  return sid === '' ? undefined : sid
}

function isJsonp(req: IncomingMessage): boolean {
  return queryOf(req).j !== undefined
}

/** A request's query, read as Engine.IO reads it: decoded, and of parameters that come twice the last one. */
function queryOf(req: IncomingMessage): Record<string, string | undefined> {
  return Object.fromEntries(new URL(req.url!, 'http://socket.invalid').searchParams)
}
