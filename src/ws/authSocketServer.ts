import type { Server as HttpServer } from 'node:http'
import { Server, type Namespace, type Socket } from 'socket.io'
import type { Brc103 } from '../auth/brc103'
import { cors } from '../cors'
import { SOCKET_PATH } from '../protocol'
import { AuthSocket, type AuthSocketCounters, type AuthSocketOptions } from './authSocket'
import { RecoveryAdapter } from './recovery'

export interface AuthSocketServerOptions extends Partial<AuthSocketOptions> {
  /** Namespaces that clients may connect to, `/` by default. */
  namespaces?: string[]
  /** Largest frame in bytes; a client that sends a larger one is disconnected. */
  maxFrameBytes?: number
  /** For how many milliseconds a client whose connection broke may come back as if nothing had happened. */
  recoveryTime?: number
}

const DEFAULTS: AuthSocketOptions = { silence: 2000, proofTimeout: 30_000, maxUnsentBytes: 16 * 1024 * 1024, maxFaults: 10 }
const MAX_FRAME_BYTES = 16 * 1024 * 1024
const RECOVERY_TIME = 2 * 60 * 1000
/** How often a connection may ask to enter each namespace. */
const MAX_CONNECTS = 10

type ConnectionListener = (socket: AuthSocket) => void

/** Socket.IO with BRC-103 on every socket; used as one uses Socket.IO: `server.on('connection', socket => …)`. */
export class AuthSocketServer {
  readonly counters: AuthSocketCounters = { faults: 0, slowReaders: 0 }
  readonly #io: Server
  readonly #options: AuthSocketOptions
  readonly #sockets = new Map<string, AuthSocket>()
  readonly #listeners: ConnectionListener[] = []

  constructor (http: HttpServer, private readonly brc103: Brc103, options: AuthSocketServerOptions = {}) {
    const { namespaces = ['/'], maxFrameBytes = MAX_FRAME_BYTES, recoveryTime = RECOVERY_TIME, ...rest } = options
    this.#options = { ...DEFAULTS, ...rest }
    this.#io = new Server(http, {
      path: SOCKET_PATH,
      serveClient: false,
      destroyUpgrade: false,
      maxHttpBufferSize: maxFrameBytes,
      adapter: RecoveryAdapter,
      connectionStateRecovery: { maxDisconnectionDuration: recoveryTime }
    })
    this.#io.engine.use(cors)
    limitConnects(this.#io, namespaces.length * MAX_CONNECTS)
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

  /** Closes every connection, so that clients look for a server again; the HTTP server is left to its owner. */
  async close (): Promise<void> {
    for (const namespace of this.#io._nsps.values()) await namespace.adapter.close()
    this.#io.engine.close()
    for (const id of [...this.#sockets.keys()]) this.#end(id, 'server shutting down')
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
    const socket = new AuthSocket(io, this.brc103, this.#options, this.counters)
    this.#sockets.set(socket.id, socket)
    for (const listener of this.#listeners) listener(socket)
  }

  #end (id: string, reason: string): void {
    this.#sockets.get(id)?.end(reason)
    this.#sockets.delete(id)
  }
}

/**
 * Closes a connection that asks to enter namespaces again and again: Socket.IO makes a socket of each such packet,
 * and thousands of them fit into one request.
 */
function limitConnects (io: Server, most: number): void {
  io.engine.on('connection', (connection: EngineSocket) => {
    let connects = 0
    connection.on('packet', ({ type, data }: { type: string, data?: unknown }) => {
      if (type === 'message' && typeof data === 'string' && data.startsWith(CONNECT_PACKET) && ++connects > most) connection.close(true)
    })
  })
}

/** How Socket.IO's packets begin that ask to enter a namespace. */
const CONNECT_PACKET = '0'

type EngineSocket = Socket['conn']
