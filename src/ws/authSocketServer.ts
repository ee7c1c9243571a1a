import { setTimeout as pause } from 'node:timers/promises'
import { Server, type Namespace, type Socket } from 'socket.io'
import type { Brc103 } from '../auth/brc103'
import { ApiError, toApiError, type FaultLog } from '../contract/errors'
import type { IdentityKey } from '../contract/protocol'
import { waitUntilQuiet } from '../lib/quiet'
import type { Limits } from '../limits'
import { pointsOf } from '../limits/meter'
import { AuthSocket } from './authSocket'
import { EngineTransport } from './engineTransport'
import type { MembershipSealer } from './memberships'
import { numberOf, RecoveryAdapter, sealedOf } from './recovery'
import type { AuthSocketHost, AuthSocketListener, AuthSocketOptions } from './socketHost'
import { WorkCounter } from './workCounter'

export interface AuthSocketServerOptions extends Partial<AuthSocketOptions> {
  /** Namespaces that clients may connect to, `/` by default. */
  namespaces?: string[]
  /** How long a client whose connection broke may take to come back as if nothing had happened. */
  recoveryTimeMs?: number
  /** How long a server that stops still accepts events that clients sent before they knew. */
  graceMs?: number
  /** Creates the ids of Engine.IO's connections. */
  createSessionId?: () => string
}

export interface AuthSocketServerParts {
  brc103: Brc103
  sealer: MembershipSealer
  limits: Limits
  /** Called for each identity that is proven. */
  onHandshake: () => void
  logger: FaultLog
}

const DEFAULTS: AuthSocketOptions = {
  silenceMs: 2000,
  proofTimeoutMs: 30_000,
  maxUnsentBytes: 8 * 1024 * 1024,
  maxFaults: 10,
}
const RECOVERY_TIME_MS = 2 * 60 * 1000
const GRACE_MS = 250
/** How long a connection may be without entering a namespace. */
const CONNECT_TIMEOUT_MS = 10_000
/** How long closing waits for what is unanswered. */
const CLOSE_DEADLINE_MS = 8000

/** Socket.IO with BRC-103 on every socket. */
export class AuthSocketServer {
  readonly counters = { faults: 0, slowReaders: 0 }
  readonly #work = new WorkCounter()
  readonly #transport: EngineTransport
  readonly #io: Server
  readonly #options: AuthSocketOptions
  readonly #sockets = new Map<string, AuthSocket>()
  /** The sockets of each identity, the oldest first. */
  readonly #socketsByIdentity = new Map<IdentityKey, Set<AuthSocket>>()
  readonly #host: AuthSocketHost
  readonly #graceMs: number

  /** @param serve serves each socket that connects */
  constructor(
    private readonly parts: AuthSocketServerParts,
    private readonly serve: (socket: AuthSocket) => AuthSocketListener,
    options: AuthSocketServerOptions = {},
  ) {
    const {
      namespaces = ['/'],
      recoveryTimeMs = RECOVERY_TIME_MS,
      graceMs = GRACE_MS,
      createSessionId,
      ...rest
    } = options
    this.#options = { ...DEFAULTS, ...rest }
    this.#graceMs = graceMs
    this.#host = this.#createHost()
    this.#transport = new EngineTransport({
      limits: parts.limits,
      logger: parts.logger,
      namespaces: namespaces.length,
      createSessionId,
      onFault: () => {
        this.counters.faults++
      },
    })
    this.#io = new Server({
      serveClient: false,
      connectTimeout: CONNECT_TIMEOUT_MS,
      adapter: RecoveryAdapter,
      connectionStateRecovery: { maxDisconnectionDuration: recoveryTimeMs },
    })
    this.#io.bind(this.#transport.engine)
    for (const name of namespaces) this.#serveNamespace(this.#io.of(name))
  }

  /** How many clients there are, including those that may still come back. */
  get size(): number {
    return this.#sockets.size
  }

  get handleRequest(): EngineTransport['handleRequest'] {
    return this.#transport.handleRequest
  }

  get handleUpgrade(): EngineTransport['handleUpgrade'] {
    return this.#transport.handleUpgrade
  }

  /**
   * Answers what clients have sent, then closes every connection, so that they look for a server
   * again.
   * @param deadlineMs after this, connections close even if something is unanswered
   */
  async close(deadlineMs = CLOSE_DEADLINE_MS): Promise<void> {
    this.#transport.stopAccepting()
    const end = Date.now() + deadlineMs
    if (this.#sockets.size > 0) await pause(Math.min(this.#graceMs, deadlineMs))
    await waitUntilQuiet(
      () => this.#work.started,
      end,
      () => this.#work.pending > 0,
    )
    for (const namespace of this.#io._nsps.values()) await namespace.adapter.close()
    this.#transport.close()
    for (const id of [...this.#sockets.keys()]) this.#end(id)
  }

  #serveNamespace(namespace: Namespace): void {
    const adapter = namespace.adapter as RecoveryAdapter
    adapter.onExpired = (id) => {
      this.#end(id)
    }
    namespace.on('connection', (io: Socket) => {
      this.#accept(io, adapter)
    })
  }

  #accept(io: Socket, adapter: RecoveryAdapter): void {
    const connection = this.#transport.connectionOf(io)
    if (connection === undefined) return void io.disconnect(true)
    const { offset } = io.handshake.auth as { offset?: unknown }
    const shown = typeof offset === 'string' ? offset : ''
    const returning = this.parts.sealer.open(sealedOf(shown))
    if (returning !== undefined) connection.introduce()
    const known = io.recovered ? this.#sockets.get(io.id) : undefined
    const socket = known ?? new AuthSocket(io, connection, this.#options, this.#host, returning)
    adapter.register(io, socket.outbox)
    io.on('disconnect', () => {
      this.#lose(socket, adapter)
    })
    if (known !== undefined) return known.reattach(io, connection, numberOf(shown))
    this.#sockets.set(socket.id, socket)
    socket.listener = this.serve(socket)
  }

  #lose(socket: AuthSocket, adapter: RecoveryAdapter): void {
    if (socket.identityKey !== undefined && adapter.isAway(socket.id)) return socket.detach()
    adapter.forget(socket.id)
    this.#end(socket.id)
  }

  #end(id: string): void {
    const socket = this.#sockets.get(id)
    if (socket === undefined) return
    this.#sockets.delete(id)
    const siblings = this.#socketsByIdentity.get(socket.identityKey ?? '')
    siblings?.delete(socket)
    if (siblings?.size === 0) this.#socketsByIdentity.delete(socket.identityKey!)
    socket.end()
  }

  #createHost(): AuthSocketHost {
    const { brc103, sealer, limits, logger, onHandshake } = this.parts
    return {
      counters: this.counters,
      work: this.#work,
      brc103,
      sealer,
      async admit(address, identityKey, bytes) {
        // The frame was counted for its address when it arrived.
        await limits.perAddress.consume(address, 0)
        if (identityKey !== undefined)
          await limits.perIdentity.consume(identityKey, 1 + pointsOf({ bytes }))
      },
      openAccount: (direction, owners, end) => limits[direction].open(owners, end),
      onProven: (id) => {
        onHandshake()
        const socket = this.#sockets.get(id)
        if (socket !== undefined) this.#limitSockets(socket)
      },
      onLost: (id) => {
        for (const { adapter } of this.#io._nsps.values()) (adapter as RecoveryAdapter).expire(id)
      },
      onError: (error) => {
        if (error instanceof ApiError && error.fault === undefined)
          logger.error({ err: error }, 'a frame of a socket could not be handled')
        else toApiError(error, logger)
      },
    }
  }

  /** Ends the oldest socket of an identity that has too many. */
  #limitSockets(socket: AuthSocket): void {
    const siblings = this.#socketsByIdentity.get(socket.identityKey!) ?? new Set()
    this.#socketsByIdentity.set(socket.identityKey!, siblings.add(socket))
    const [oldest] = siblings
    if (siblings.size <= (this.parts.limits.socketsPerIdentity ?? Infinity)) return
    oldest!.disconnect()
    this.#host.onLost(oldest!.id)
  }
}
