/**
 * AuthSocket: BRC-103 over Socket.IO. A library of its own that knows nothing of boxes. Both sides sign every
 * message; a socket's identity is the one that was proven by a signature, and no other.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'socket.io'
import { toBytes, type Brc103, type InitialRequest, type MessageClaims } from '../auth/brc103'
import type { Session } from '../auth/session'
import { ApiError, type ErrorCode } from '../errors'
import { AUTH_MESSAGE, EVENTS, type IdentityKey } from '../protocol'
import { decodeEvent, encodeEvent, hashPayload, type EncodedEvent } from './events'
import type { RecoveryAdapter } from './recovery'

/** How an identity came to be proven: the client began, the server began with a client that named a key, or with a silent one. */
export type Opening = 'client' | 'named' | 'silence'

export interface AuthSocketOptions {
  /** After how many milliseconds the server begins the handshake with a client that says nothing. */
  silence: number
  /** After how many milliseconds a socket that has proven no identity is closed. */
  proofTimeout: number
  /** A socket whose client leaves more bytes than this unread is closed. */
  maxUnsentBytes: number
  /** How many broken or unsigned frames a socket may send before it is closed. */
  maxFaults: number
}

/** Shared by all sockets of a server, for whoever counts. */
export interface AuthSocketCounters {
  faults: number
  slowReaders: number
  /** How many things clients have asked for so far, and how many of them are not answered yet. */
  asked: number
  unanswered: number
}

/** What the server that a socket belongs to does for it. */
export interface AuthSocketHost {
  counters: AuthSocketCounters
  /** Asked before a frame is looked at, of somebody who has proven an identity or of somebody who has not; it may refuse. */
  admit: (req: IncomingMessage, identityKey: IdentityKey | undefined) => Promise<void>
  onHandshake: () => void
}

/** Events that the library raises itself; a client that sends one of these names is not heard. */
type Lifecycle = 'identified' | 'disconnect'
const RESERVED = new Set<string>(['identified', 'disconnect'] satisfies Lifecycle[])

/** Refusals of a frame that its client is told, unsigned, though it has proven no identity. */
const TOLD = new Set<ErrorCode>(['ERR_CERTIFICATES_NOT_SUPPORTED', 'ERR_RATE_LIMITED'])

/** Events that wait for a session to be signed for, in characters: a client that never answers leaves no more. */
const MAX_QUEUED = 1024 * 1024

/** How many frames in a row may be refused before the connection is closed. */
const MAX_REFUSED = 20

type Listener = (data: unknown) => void

/** Told of an event that is not heard, since its client asks too often. */
type RefusedListener = (eventName: string, data: unknown, refusal: ApiError) => void

export class AuthSocket {
  /** Names of the rooms this socket is in; kept by whoever keeps rooms. */
  readonly rooms = new Set<string>()
  /** The proven identity; undefined until there is one. */
  identityKey: IdentityKey | undefined
  readonly id: string
  /** The key a client named when it connected; only a claim. */
  readonly claimedKey: unknown
  #io: Socket
  #session: Session | undefined
  #handshake: { request: InitialRequest, opening: Opening } | undefined
  readonly #listeners = new Map<string, Listener[]>()
  #onRefused: RefusedListener = () => {}
  #queued: EncodedEvent[] = []
  #queuedLength = 0
  #inbox = Promise.resolve()
  #outbox = Promise.resolve()
  #faults = 0
  #refused = 0
  #ended = false
  #unflushed = 0
  readonly #onFlush = (): void => { this.#unflushed = 0 }
  #silence: NodeJS.Timeout | undefined
  #proof: NodeJS.Timeout | undefined

  constructor (
    io: Socket,
    private readonly brc103: Brc103,
    private readonly options: AuthSocketOptions,
    private readonly host: AuthSocketHost
  ) {
    this.id = io.id
    this.#io = io
    this.attach(io)
    this.#proof = setTimeout(() => { this.close() }, options.proofTimeout).unref()
    this.claimedKey = io.handshake.auth.identityKey ?? io.handshake.query.identityKey
    // Whatever else a client said of itself when it connected would stay in memory as long as its socket.
    io.handshake.auth = {}
    if (this.claimedKey !== undefined) this.#openHandshake('named')
    else this.#silence = setTimeout(() => { this.#openHandshake('silence') }, options.silence).unref()
  }

  /** Listens for an event of the client's, or for `identified` (data: an `Opening`) and `disconnect` (data: a reason). */
  on (eventName: string, listener: Listener): this {
    this.#listeners.set(eventName, [...this.#listeners.get(eventName) ?? [], listener])
    return this
  }

  /** Names who tells the client of events that are refused before they are looked at. */
  onRefused (listener: RefusedListener): this {
    this.#onRefused = listener
    return this
  }

  /** Signs an event and sends it, in the order of the calls; before a session exists, it waits for one. */
  emit (eventName: string, data: unknown): this {
    return this.send(encodeEvent(eventName, data))
  }

  /** As `emit`, for an event that is encoded already. */
  send (event: EncodedEvent): this {
    const session = this.#session
    if (session === undefined) {
      this.#queuedLength += event.payload.length
      if (this.#queuedLength <= MAX_QUEUED) this.#queued.push(event)
      return this
    }
    this.#outbox = this.#outbox.then(async () => {
      const { signature, ...claims } = await this.brc103.signGeneral(session, event.hash)
      const head = JSON.stringify({ ...claims, messageType: 'general', signature: [...signature] })
      this.#write(`${head.slice(0, -1)},"payload":${event.payload}}`)
    }).catch(() => { this.close() })
    return this
  }

  /** Ends the socket for good: its client does not connect again by itself. */
  disconnect (): void {
    this.#io.disconnect(true)
  }

  /** Closes the connection; its client may connect again. */
  close (): void {
    this.#io.conn.close()
  }

  /** Takes a connection over: the first one, or the one on which a client came back. */
  attach (io: Socket): void {
    this.#io = io
    this.#unflushed = 0
    io.on(AUTH_MESSAGE, frame => {
      clearTimeout(this.#silence)
      this.#inbox = this.#inbox.then(async () => { await this.#receive(frame) })
      this.hold(this.#inbox)
    })
    io.onAny(eventName => { if (eventName !== AUTH_MESSAGE) this.#refuseUnsigned() })
    io.conn.on('flush', this.#onFlush)
    io.once('disconnect', () => { io.conn.off('flush', this.#onFlush) })
  }

  /** Counts work for the client as unanswered until it ends: a server that stops waits for it. */
  hold (work: Promise<void>): void {
    this.host.counters.asked++
    this.host.counters.unanswered++
    const done = (): void => { this.host.counters.unanswered-- }
    work.then(done, done)
  }

  /** The client has gone for good. */
  end (reason: string): void {
    clearTimeout(this.#silence)
    clearTimeout(this.#proof)
    this.#dispatch('disconnect', reason)
    this.#ended = true
  }

  /** Whether the client has gone for good: whatever it asked for before makes no difference any more. */
  get ended (): boolean {
    return this.#ended
  }

  async #receive (frame: unknown): Promise<void> {
    try {
      const message = asRecord(frame)
      const refusal = await this.#admit(this.identityKey)
      if (this.#ended) return
      if (refusal !== undefined) return this.#refuse(message, refusal)
      if (message.messageType === 'general') await this.#receiveGeneral(message)
      else if (message.messageType === 'initialResponse') await this.#receiveResponse(message)
      else this.#write(JSON.stringify((await this.brc103.answerHandshake(message)).response))
    } catch (error) {
      if (error instanceof ApiError && TOLD.has(error.code)) this.#io.emit(EVENTS.authenticationFailed, { reason: error.message })
      this.#fault()
    }
  }

  /** Every frame counts, before it costs more than being read: the refusal, where there are too many. */
  async #admit (identityKey: IdentityKey | undefined): Promise<ApiError | undefined> {
    try {
      await this.host.admit(this.#io.request, identityKey)
      this.#refused = 0
      return undefined
    } catch (error) {
      if (error instanceof ApiError) return error
      throw error
    }
  }

  #refuse (message: Record<string, unknown>, refusal: ApiError): void {
    if (++this.#refused > MAX_REFUSED) return this.close()
    if (this.identityKey === undefined) throw refusal
    const event = message.messageType === 'general' ? decodeEvent(toBytes(message.payload)) : undefined
    if (event !== undefined) this.#onRefused(event.eventName, event.data, refusal)
  }

  async #receiveGeneral (message: Record<string, unknown>): Promise<void> {
    const claims = { ...message, signature: toBytes(message.signature) } as unknown as MessageClaims
    const session = this.#findSession(claims)
    const payload = toBytes(message.payload)
    const event = decodeEvent(payload)
    // What was signed for HTTP is no event: it must not prove anything here, nor be used up.
    if (event === undefined || RESERVED.has(event.eventName)) return this.#fault()
    await this.brc103.verifyGeneral(session, claims, hashPayload(payload))
    this.#faults = 0
    const first = this.identityKey === undefined
    this.#prove(session, 'client')
    // It was counted for its address, since nobody knew whose it was.
    const refusal = first ? await this.#admit(session.identityKey) : undefined
    if (refusal === undefined) this.#dispatch(event.eventName, event.data)
    else this.#onRefused(event.eventName, event.data, refusal)
  }

  /** A session need not have been made on this socket; one that nobody knows is replaced by a new handshake. */
  #findSession (claims: MessageClaims): Session {
    try {
      return this.brc103.openSession(claims, this.#session)
    } catch (error) {
      const foreign = this.brc103.openForeignHandshake(claims)
      if (foreign !== undefined) return foreign
      if (this.#handshake === undefined) this.#openHandshake('client')
      throw error
    }
  }

  async #receiveResponse (message: Record<string, unknown>): Promise<void> {
    const handshake = this.#handshake
    if (handshake === undefined) return this.#fault()
    const session = await this.brc103.acceptResponse(message, handshake.request)
    this.#handshake = undefined
    this.#prove(session, handshake.opening)
  }

  /** Binds the socket to its first proven identity. What is sent from now on is signed for this session. */
  #prove (session: Session, opening: Opening): void {
    if (this.identityKey !== undefined && this.identityKey !== session.identityKey) throw new Error('another identity was proven on this socket before')
    const first = this.identityKey === undefined
    if (first) this.host.onHandshake()
    this.identityKey = session.identityKey
    clearTimeout(this.#proof)
    if (session.clientNonce === '') {
      // Proven by an answer to a handshake of another connection: to sign for it takes one of our own.
      if (this.#session === undefined && this.#handshake === undefined) this.#openHandshake(opening)
    } else {
      this.#session = session
      for (const event of this.#queued.splice(0)) this.send(event)
    }
    if (first) this.#dispatch('identified', opening)
  }

  #openHandshake (opening: Opening): void {
    const request = this.brc103.openHandshake()
    this.#handshake = { request, opening }
    this.#write(JSON.stringify(request))
  }

  /** @param message a BRC-103 message in JSON */
  #write (message: string): void {
    const waiting = this.#unflushed + bufferedBytes(this.#io)
    if (this.#io.connected && waiting > this.options.maxUnsentBytes) {
      this.host.counters.slowReaders++
      return terminate(this.#io)
    }
    this.#unflushed += message.length
    ;(this.#io.nsp.adapter as RecoveryAdapter).emitTo(this.id, `["${AUTH_MESSAGE}",${message}]`)
  }

  #dispatch (eventName: string, data: unknown): void {
    if (this.#ended) return
    for (const listener of this.#listeners.get(eventName) ?? []) listener(data)
  }

  #refuseUnsigned (): void {
    clearTimeout(this.#silence)
    this.#io.emit(EVENTS.authenticationFailed, {
      reason: 'This connection must be authenticated with BRC-103: connect with @bsv/authsocket-client, which signs every event.'
    })
    this.#fault()
  }

  #fault (): void {
    this.host.counters.faults++
    if (++this.#faults > this.options.maxFaults) this.disconnect()
  }
}

function asRecord (frame: unknown): Record<string, unknown> {
  return (typeof frame === 'object' && frame !== null ? frame : {}) as Record<string, unknown>
}

/** The WebSocket under a connection, where it is one: what lies in its buffer was not taken by the client yet. */
function webSocketOf (io: Socket): { bufferedAmount: number, terminate: () => void } | undefined {
  const { socket } = io.conn.transport as unknown as { socket?: { bufferedAmount?: number, terminate?: () => void } }
  return socket?.bufferedAmount === undefined ? undefined : socket as { bufferedAmount: number, terminate: () => void }
}

function bufferedBytes (io: Socket): number {
  return webSocketOf(io)?.bufferedAmount ?? 0
}

/** Ends a connection whose buffer is full, without waiting for its client to read on. */
function terminate (io: Socket): void {
  const webSocket = webSocketOf(io)
  if (webSocket === undefined) io.conn.close(true)
  else webSocket.terminate()
}
