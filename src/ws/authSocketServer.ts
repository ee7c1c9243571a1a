import { ServerResponse, type IncomingMessage, type Server as HttpServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { Server, type Namespace, type Socket } from 'socket.io'
import type { Brc103 } from '../auth/brc103'
import { cors } from '../cors'
import { ApiError } from '../errors'
import { SOCKET_PATH, type IdentityKey } from '../protocol'
import { sendRefusal, writeRefusal } from '../refusal'
import { AuthSocket, type AuthSocketCounters, type AuthSocketOptions } from './authSocket'
import { RecoveryAdapter } from './recovery'
import { Unfinished } from './unfinished'

export interface AuthSocketServerOptions extends Partial<AuthSocketOptions> {
  /** Namespaces that clients may connect to, `/` by default. */
  namespaces?: string[]
  /** Largest frame in bytes; a client that sends a larger one is disconnected. */
  maxFrameBytes?: number
  /** For how many milliseconds a client whose connection broke may come back as if nothing had happened. */
  recoveryTime?: number
  /** For how many milliseconds a server that stops still hears what clients had sent before they knew. */
  grace?: number
  /**
   * Asked for each request that opens or polls a connection, and for each frame.
   * @param identityKey whose frame it is, where that is known
   * @throws ApiError that the client is told
   */
  admit?: (req: IncomingMessage, identityKey?: IdentityKey) => Promise<void>
  /** Whose share of the memory for frames a request takes. */
  addressOf?: (req: IncomingMessage) => string
  /** Told of each identity that was proven. */
  onHandshake?: () => void
  /** Told of what went wrong in here; its client is refused. */
  onError?: (error: unknown) => void
}

const DEFAULTS: AuthSocketOptions = { silence: 2000, proofTimeout: 30_000, maxUnsentBytes: 16 * 1024 * 1024, maxFaults: 10 }
const MAX_FRAME_BYTES = 16 * 1024 * 1024
const RECOVERY_TIME = 2 * 60 * 1000
const GRACE = 250
/** How long a connection may be without entering a namespace, in milliseconds. */
const CONNECT_TIMEOUT = 10_000
/** How long closing waits for what is unanswered, and how often it looks, in milliseconds. */
const CLOSE_DEADLINE = 8000
const CLOSE_INTERVAL = 10
/** How many turns of the event loop without a question count as quiet. */
const QUIET_TURNS = 5
/** How often a connection may ask to enter each namespace. */
const MAX_CONNECTS = 10

type ConnectionListener = (socket: AuthSocket) => void

/** Socket.IO with BRC-103 on every socket; used as one uses Socket.IO: `server.on('connection', socket => …)`. */
export class AuthSocketServer {
  readonly counters: AuthSocketCounters = { faults: 0, slowReaders: 0, asked: 0, unanswered: 0 }
  readonly #io: Server
  readonly #options: AuthSocketOptions
  readonly #sockets = new Map<string, AuthSocket>()
  readonly #listeners: ConnectionListener[] = []
  readonly #admit: (req: IncomingMessage, identityKey?: IdentityKey) => Promise<void>
  readonly #addressOf: (req: IncomingMessage) => string
  readonly #unfinished = new Unfinished()
  /** What to call when a frame is whole, for requests that are about to become connections. */
  readonly #opening = new WeakMap<IncomingMessage, () => void>()
  readonly #onHandshake: () => void
  readonly #onError: (error: unknown) => void
  readonly #grace: number
  #stopping = false

  constructor (http: HttpServer, private readonly brc103: Brc103, options: AuthSocketServerOptions = {}) {
    const { namespaces = ['/'], maxFrameBytes = MAX_FRAME_BYTES, recoveryTime = RECOVERY_TIME, grace = GRACE, admit = async () => {}, addressOf = () => '', onHandshake = () => {}, onError = () => {}, ...rest } = options
    this.#options = { ...DEFAULTS, ...rest }
    this.#grace = grace
    this.#admit = admit
    this.#addressOf = addressOf
    this.#onHandshake = onHandshake
    this.#onError = onError
    this.#io = new Server(http, {
      path: SOCKET_PATH,
      serveClient: false,
      destroyUpgrade: false,
      maxHttpBufferSize: maxFrameBytes,
      connectTimeout: CONNECT_TIMEOUT,
      adapter: RecoveryAdapter,
      connectionStateRecovery: { maxDisconnectionDuration: recoveryTime }
    })
    this.#io.engine.use(cors)
    this.#io.engine.use((req: IncomingMessage, res: ServerResponse, next: () => void) => { void this.#letIn(req, res, next) })
    this.#io.engine.on('connection', (connection: EngineSocket) => {
      limitConnects(connection, namespaces.length * MAX_CONNECTS)
      const whole = this.#opening.get(connection.request)
      if (whole !== undefined) connection.on('packet', whole)
    })
    for (const name of namespaces) this.#serve(this.#io.of(name))
  }

  on (_eventName: 'connection', listener: ConnectionListener): this {
    this.#listeners.push(listener)
    return this
  }

  /** How many clients are there, those included that may still come back. */
  get size (): number {
    return this.#sockets.size
  }

  /**
   * Answers what clients have sent, then closes every connection, so that they look for a server again; the HTTP
   * server is left to its owner.
   * @param deadline when to close whatever is unanswered, in milliseconds from now
   */
  async close (deadline = CLOSE_DEADLINE): Promise<void> {
    this.#stopping = true
    const end = Date.now() + deadline
    if (this.#sockets.size > 0) await pause(Math.min(this.#grace, deadline))
    await this.#allAnswered(end)
    for (const namespace of this.#io._nsps.values()) await namespace.adapter.close()
    this.#io.engine.close()
    for (const id of [...this.#sockets.keys()]) this.#end(id, 'server shutting down')
  }

  /** Resolves when nothing is unanswered, and nothing more comes: each turn of the event loop reads what clients have sent. */
  async #allAnswered (end: number): Promise<void> {
    const { counters } = this
    for (let quiet = 0; quiet < QUIET_TURNS && Date.now() < end;) {
      const { asked } = counters
      await (counters.unanswered > 0 ? pause(CLOSE_INTERVAL) : new Promise(setImmediate))
      quiet = counters.unanswered > 0 || counters.asked > asked ? 0 : quiet + 1
    }
  }

  async #letIn (req: IncomingMessage, res: ServerResponse, next: () => void): Promise<void> {
    const { socket } = req
    // For an upgrade, Engine.IO's response is none that could be written to.
    const upgrades = !(res instanceof ServerResponse)
    // Nobody else listens on a connection that is being upgraded: a reset would end the process.
    const destroy = (): void => { socket.destroy() }
    if (upgrades) socket.on('error', destroy)
    const refusal = await this.#refusalOf(req, res)
    if (socket.destroyed) return
    if (refusal === undefined) {
      if (upgrades) {
        socket.off('error', destroy)
        this.#follow(req)
      }
      next()
    } else if (upgrades) {
      writeRefusal(socket, refusal)
    } else {
      sendRefusal(res, refusal)
    }
  }

  async #refusalOf (req: IncomingMessage, res: ServerResponse): Promise<ApiError | undefined> {
    const id = sessionOf(req)
    if (this.#stopping && id === undefined) return new ApiError('ERR_STOPPING')
    try {
      await this.#admit(req)
      if (req.method === 'POST') res.once('close', this.#unfinished.take(this.#addressOf(req), announcedLength(req)))
      return undefined
    } catch (error) {
      if (error instanceof ApiError) return error
      this.#onError(error)
      return new ApiError('ERR_INTERNAL')
    }
  }

  /** Bounds what a connection that is about to carry frames makes us keep of them. */
  #follow (req: IncomingMessage): void {
    const whole = this.#unfinished.follow(req.socket, this.#addressOf(req))
    const clients = (this.#io.engine as unknown as { clients: Record<string, EngineSocket | undefined> }).clients
    const polled = clients[sessionOf(req) ?? '']
    // One that begins as a WebSocket has no connection yet.
    if (polled === undefined) this.#opening.set(req, whole)
    else polled.on('packet', whole)
  }

  #serve (namespace: Namespace): void {
    const adapter = namespace.adapter as RecoveryAdapter
    adapter.onExpired = id => { this.#end(id, 'connection lost') }
    namespace.on('connection', (io: Socket) => {
      const known = io.recovered ? this.#sockets.get(io.id) : undefined
      if (known === undefined) this.#add(io)
      else known.attach(io)
      io.on('disconnect', reason => {
        const proven = this.#sockets.get(io.id)?.identityKey !== undefined
        if (proven && adapter.isAway(io.id)) return
        adapter.forget(io.id)
        this.#end(io.id, reason)
      })
    })
  }

  #add (io: Socket): void {
    const socket = new AuthSocket(io, this.brc103, this.#options, { counters: this.counters, admit: this.#admit, onHandshake: this.#onHandshake })
    this.#sockets.set(socket.id, socket)
    for (const listener of this.#listeners) listener(socket)
  }

  #end (id: string, reason: string): void {
    this.#sockets.get(id)?.end(reason)
    this.#sockets.delete(id)
  }
}

/** The connection that a request belongs to, where it is open already: it polls, or upgrades one that polled. */
function sessionOf (req: IncomingMessage): string | undefined {
  return /[?&]sid=([^&]*)/.exec(req.url ?? '')?.[1]
}

/**
 * How long the body of a poll is said to be.
 * @throws ApiError ERR_BAD_REQUEST where it is not said: Socket.IO's clients always do
 */
function announcedLength (req: IncomingMessage): number {
  const length = Number(req.headers['content-length'] ?? NaN)
  if (!Number.isSafeInteger(length)) throw new ApiError('ERR_BAD_REQUEST', 'A poll must say how long its body is, in content-length.')
  return length
}

/**
 * Closes a connection that asks to enter namespaces again and again: Socket.IO makes a socket of each such packet,
 * and thousands of them fit into one request.
 */
function limitConnects (connection: EngineSocket, most: number): void {
  let connects = 0
  connection.on('packet', ({ type, data }: { type: string, data?: unknown }) => {
    if (type === 'message' && typeof data === 'string' && data.startsWith(CONNECT_PACKET) && ++connects > most) connection.close(true)
  })
}

/** How Socket.IO's packets begin that ask to enter a namespace. */
const CONNECT_PACKET = '0'

type EngineSocket = Socket['conn']
