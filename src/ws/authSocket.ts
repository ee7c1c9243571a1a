/**
 * AuthSocket: BRC-103 over Socket.IO. A library of its own that knows nothing of boxes. Both sides sign every
 * message; a socket's identity is the one that was proven by a signature, and no other.
 */
import type { Socket } from 'socket.io'
import {
  toBytes,
  unauthorized,
  type Brc103,
  type InitialRequest,
  type MessageClaims,
} from '../auth/brc103'
import type { Session } from '../auth/session'
import { ApiError, type ErrorCode } from '../contract/errors'
import type { ByteAccount } from '../limits/budget'
import { AUTH_MESSAGE, EVENTS, MAX_LIVE_BODY, type IdentityKey } from '../contract/protocol'
import { UNPROVEN_BYTES, type Connection } from './connection'
import { decodeEvent, encodeEvent, encodeMessage, hashPayload, type EncodedEvent } from './events'
import type { MembershipSealer, Memberships } from './memberships'
import { Outbox } from './outbox'
import { OVERSIZED, readBeginning } from './oversized'

/** How a handshake came about: the client began it, or the server with a client that named a key, that was silent, or that came back. */
export type Opening = 'client' | 'named' | 'silence' | 'return'

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

/** Shared by all sockets of a server, for its metrics. */
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
  brc103: Brc103
  sealer: MembershipSealer
  /**
   * Asked before a frame is looked at.
   * @param identityKey undefined until one is proven
   * @throws ApiError ERR_RATE_LIMITED
   */
  admit: (address: string, identityKey: IdentityKey | undefined, bytes: number) => Promise<void>
  /** Opens an account of the memory for what is sent, or for what has arrived. */
  openAccount: (
    direction: 'incoming' | 'outgoing',
    owners: string[],
    end: () => void,
  ) => ByteAccount
  /** An identity was proven on the socket, for the first time. */
  onProven: (socket: AuthSocket) => void
  /** The socket is away, and cannot come back. */
  onLost: (socket: AuthSocket) => void
  /** Something went wrong that is the server's fault. */
  onError: (error: unknown) => void
}

/** Events that the library raises itself; a client that sends one of these names is not heard. */
type Lifecycle = 'identified' | 'fresh' | 'disconnect'
const RESERVED = new Set<string>(['identified', 'fresh', 'disconnect'] satisfies Lifecycle[])

/** Refusals of a frame that its client is told, unsigned, though it has proven no identity. */
const TOLD = new Set<ErrorCode>(['ERR_CERTIFICATES_NOT_SUPPORTED', 'ERR_RATE_LIMITED'])

/** Events that wait for a session to be signed for, in characters: a client that never answers leaves no more. */
const MAX_QUEUED_CHARACTERS = 32 * 1024
/** How many frames may wait to be looked at. */
const MAX_WAITING_FRAMES = 1000
/** How many frames in a row may be refused before the connection is closed. */
const MAX_REFUSED = 20
/** How many sessions of one connection are remembered. */
const MAX_SESSIONS = 8
/** How long a client may take to answer a handshake that an event of its own waits for. */
const ANSWER_TIMEOUT_MS = 10_000
/** Bytes travel as numbers in JSON, of about so many characters each. */
const CHARACTERS_A_BYTE = 4

type Listener = (data: unknown) => void

/** Told of an event that is not heard, since its client asks too often. */
type RefusedListener = (eventName: string, data: unknown, refusal: ApiError) => void

/** A frame as it arrived, its bytes no longer as numbers. */
interface Frame {
  message: Record<string, unknown>
  payload: Buffer
  signature: Buffer
}

/** What belongs to one connection, and is gone with it. */
interface Line {
  io: Socket
  connection: Connection
  /** What handshakes on this connection have made, the newest last. */
  sessions: Session[]
  /** The last handshake that the server has begun here. */
  handshake: { request: InitialRequest; opening: Opening } | undefined
  /** The identity was proven over a nonce that the server made for this connection: nothing captured elsewhere could do that. */
  fresh: boolean
  /** What has arrived in frames that wait for those before them. */
  waiting: ByteAccount
}

export class AuthSocket {
  /** The proven identity; undefined until there is one. */
  identityKey: IdentityKey | undefined
  readonly id: string
  /** The key a client named when it connected; only a claim. */
  readonly claimedKey: string | undefined
  readonly outbox: Outbox
  readonly #rooms = new Set<string>()
  /** What the client has shown of an earlier connection, until it is used. */
  #returning: Memberships | undefined
  /** Whether the outbox knows of the rooms as they are. */
  #isSealed = true
  #line!: Line
  #session: Session | undefined
  readonly #listeners = new Map<string, Listener[]>()
  #onRefused: RefusedListener = () => {}
  #queued: EncodedEvent[] = []
  #queuedLength = 0
  #inbox = Promise.resolve()
  #waitingFrames = 0
  #signing = Promise.resolve()
  #faults = 0
  #refused = 0
  #ended = false
  /** The number of the last event that a client which has come back had got; undefined if nothing is held for it. */
  #heldFrom: number | undefined
  readonly #whenFresh = new Set<() => void>()
  #silence: NodeJS.Timeout | undefined
  #proof: NodeJS.Timeout | undefined

  /** @param returning what the client has shown of an earlier connection */
  constructor(
    io: Socket,
    connection: Connection,
    private readonly options: AuthSocketOptions,
    private readonly host: AuthSocketHost,
    returning?: Memberships,
  ) {
    this.id = io.id
    this.claimedKey = claimedKeyOf(io)
    this.outbox = new Outbox({
      maxUnsentBytes: options.maxUnsentBytes,
      openAccount: (end) => host.openAccount('outgoing', this.#owners(), end),
      onOverflow: () => {
        this.#overflow()
      },
    })
    this.#returning = returning
    this.#attach(io, connection)
    if (this.claimedKey !== undefined) this.#openHandshake('named')
    else if (returning !== undefined) this.#openHandshake('return')
    else
      this.#silence = setTimeout(() => {
        this.#openHandshake('silence')
      }, options.silence).unref()
  }

  /** The names of the rooms this socket is in. */
  get rooms(): ReadonlySet<string> {
    return this.#rooms
  }

  /** What the client has shown of an earlier connection; once. */
  takeReturning(): Memberships | undefined {
    const returning = this.#returning
    this.#returning = undefined
    return returning
  }

  enter(room: string): void {
    this.#rooms.add(room)
    this.#isSealed = false
  }

  leave(room: string): void {
    this.#rooms.delete(room)
    this.#isSealed = false
  }

  /** The address that the socket's present connection counts for. */
  get address(): string {
    return this.#line.connection.address
  }

  /**
   * Listens for an event of the client's, or for `identified` (data: an `Opening`), `fresh` (the identity is proven on
   * this very connection) and `disconnect` (data: a reason).
   */
  on(eventName: string, listener: Listener): this {
    this.#listeners.set(eventName, [...(this.#listeners.get(eventName) ?? []), listener])
    return this
  }

  /** Names who tells the client of events that are refused before they are looked at. */
  onRefused(listener: RefusedListener): this {
    this.#onRefused = listener
    return this
  }

  /** Signs an event and sends it, in the order of the calls; before a session exists, it waits for one. */
  emit(eventName: string, data: unknown): this {
    return this.send(encodeEvent(eventName, data))
  }

  /** As `emit`, for an event that is encoded already. */
  send(event: EncodedEvent): this {
    const session = this.#session
    if (session === undefined) {
      this.#queuedLength += event.payload.length
      if (this.#queuedLength <= MAX_QUEUED_CHARACTERS) this.#queued.push(event)
      return this
    }
    this.#signing = this.#signing
      .then(async () => {
        if (this.#ended) return
        const message = encodeMessage(
          await this.host.brc103.signGeneral(session, event.hash),
          event,
        )
        this.#seal(session.identityKey)
        if (!this.outbox.send(`["${AUTH_MESSAGE}",${message}`)) this.#lose()
      })
      .catch((error: unknown) => {
        this.host.onError(error)
        this.close()
      })
    return this
  }

  /** Ends the socket for good: its client does not connect again by itself. */
  disconnect(): void {
    this.#line.io.disconnect(true)
  }

  /** Closes the connection; its client may connect again. */
  close(): void {
    this.#line.connection.engine.close()
  }

  /**
   * Takes over the connection on which a client has come back. The client hears nothing until it has proven itself there.
   * @param offset the number of the last event that it has got
   */
  reattach(io: Socket, connection: Connection, offset: number): void {
    this.#attach(io, connection)
    this.#heldFrom = offset
    this.outbox.hold()
    this.#openHandshake('return')
  }

  /** The connection is broken; the client may come back. */
  detach(): void {
    clearTimeout(this.#silence)
    clearTimeout(this.#proof)
    this.outbox.detach()
  }

  /**
   * Resolves when the identity is proven on this very connection; the server asks for that if need be.
   * @throws ApiError UNAUTHORIZED if the client does not answer
   */
  async proveFresh(): Promise<void> {
    if (this.#line.fresh) return
    if (this.#line.handshake === undefined) this.#openHandshake('client')
    await new Promise<void>((resolve, reject) => {
      const proven = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#whenFresh.delete(proven)
        reject(unauthorized("This connection is new: answer the server's handshake first."))
      }, ANSWER_TIMEOUT_MS).unref()
      this.#whenFresh.add(proven)
    })
  }

  /** Counts work for the client as unanswered until it ends: a server that stops waits for it. */
  hold(work: Promise<void>): void {
    this.host.counters.asked++
    this.host.counters.unanswered++
    const done = (): void => {
      this.host.counters.unanswered--
    }
    work.then(done, done)
  }

  /** The client has gone for good. */
  end(reason: string): void {
    this.detach()
    this.#dispatch('disconnect', reason)
    this.#ended = true
    this.#line.waiting.close()
  }

  /** Whether the client has gone for good: nothing it asked for before makes a difference any more. */
  get ended(): boolean {
    return this.#ended
  }

  #attach(io: Socket, connection: Connection): void {
    const line: Line = (this.#line = {
      io,
      connection,
      sessions: [],
      handshake: undefined,
      fresh: false,
      waiting: this.host.openAccount('incoming', [connection.address], () => {
        connection.end()
      }),
    })
    // What a client says of itself when it connects would stay in memory as long as its socket.
    io.handshake.auth = {}
    this.outbox.attach(io)
    clearTimeout(this.#proof)
    this.#proof = setTimeout(() => {
      this.close()
    }, this.options.proofTimeout).unref()
    io.on(AUTH_MESSAGE, (frame) => {
      this.#take(frame, line)
    })
    io.onAny((eventName) => {
      if (eventName !== AUTH_MESSAGE) this.#refuseUnsigned()
    })
  }

  /** Frames wait for those before them, as bytes. */
  #take(raw: unknown, line: Line): void {
    clearTimeout(this.#silence)
    const { payload, signature, ...message } = asRecord(raw)
    const frame: Frame = { message, payload: toBytes(payload), signature: toBytes(signature) }
    if (++this.#waitingFrames > MAX_WAITING_FRAMES) return line.connection.end()
    const bytes = frame.payload.length + frame.signature.length
    try {
      line.waiting.resize(line.waiting.bytes + bytes)
    } catch {
      return line.connection.end()
    }
    this.#inbox = this.#inbox.then(async () => {
      await this.#receive(frame, line)
      this.#waitingFrames--
      line.waiting.resize(Math.max(0, line.waiting.bytes - bytes))
    })
    this.hold(this.#inbox)
  }

  async #receive(frame: Frame, line: Line): Promise<void> {
    if (this.#ended) return
    const { messageType } = frame.message
    try {
      const refusal = await this.#admit(this.identityKey, frame)
      if (this.#ended) return
      if (refusal !== undefined) return this.#refuse(frame, refusal)
      if (messageType === OVERSIZED) this.#refuse(frame, tooLarge())
      else if (messageType === 'general') await this.#receiveGeneral(frame, line)
      else if (messageType === 'initialResponse') await this.#receiveResponse(frame, line)
      else await this.#answerHandshake(frame, line)
    } catch (error) {
      this.#fault(error, line)
      if (
        this.identityKey === undefined &&
        frame.payload.length * CHARACTERS_A_BYTE > UNPROVEN_BYTES
      )
        line.connection.end()
    }
  }

  /** Every frame counts, before it costs more than being read: the refusal, if there are too many. */
  async #admit(
    identityKey: IdentityKey | undefined,
    { payload }: Frame,
  ): Promise<ApiError | undefined> {
    try {
      await this.host.admit(this.address, identityKey, payload.length * CHARACTERS_A_BYTE)
      this.#refused = 0
      return undefined
    } catch (error) {
      if (error instanceof ApiError) return error
      throw error
    }
  }

  #refuse({ message, payload }: Frame, refusal: ApiError): void {
    if (++this.#refused > MAX_REFUSED) return this.close()
    if (this.identityKey === undefined) throw refusal
    const event = message.messageType === 'general' ? decodeEvent(payload) : readBeginning(payload)
    if (event !== undefined) this.#onRefused(event.eventName, event.data, refusal)
  }

  async #answerHandshake({ message }: Frame, line: Line): Promise<void> {
    const { response, session } = await this.host.brc103.answerHandshake(message, 'connection')
    remember(line, session)
    line.connection.introduce()
    this.#sendOnce(JSON.stringify(response))
  }

  async #receiveGeneral(frame: Frame, line: Line): Promise<void> {
    const claims = { ...frame.message, signature: frame.signature } as unknown as MessageClaims
    const session = this.#findSession(claims, line)
    const event = decodeEvent(frame.payload)
    // What was signed for HTTP is no event: it must not prove anything here, nor be used up.
    if (event === undefined || RESERVED.has(event.eventName))
      throw unauthorized('This is no event.')
    await this.host.brc103.verifyGeneral(session, claims, hashPayload(frame.payload))
    this.#faults = 0
    const first = this.identityKey === undefined
    this.#prove(session, 'client', line, line.sessions.includes(session))
    // It was counted for its address alone, since its identity was not known.
    const refusal = first ? await this.#admit(session.identityKey, frame) : undefined
    if (refusal === undefined) this.#dispatch(event.eventName, event.data)
    else this.#onRefused(event.eventName, event.data, refusal)
  }

  /** A session need not have been made on this socket; one that is not known is replaced by a new handshake. */
  #findSession(claims: MessageClaims, line: Line): Session {
    const { brc103 } = this.host
    try {
      return brc103.openSession(
        claims,
        this.#session === undefined ? line.sessions : [...line.sessions, this.#session],
      )
    } catch (error) {
      const foreign = brc103.openForeignHandshake(claims)
      if (foreign !== undefined) return foreign
      if (line.handshake === undefined) this.#openHandshake('client')
      throw error
    }
  }

  async #receiveResponse({ message, signature }: Frame, line: Line): Promise<void> {
    const { handshake } = line
    if (handshake === undefined) throw unauthorized('The server has begun no handshake.')
    const session = await this.host.brc103.acceptResponse(
      { ...message, signature },
      handshake.request,
    )
    line.handshake = undefined
    remember(line, session)
    this.#prove(session, handshake.opening, line, true)
  }

  /** Binds the socket to its first proven identity. What is sent from now on is signed for this session. */
  #prove(session: Session, opening: Opening, line: Line, fresh: boolean): void {
    if (this.identityKey !== undefined && this.identityKey !== session.identityKey)
      throw unauthorized('Another identity was proven on this socket before.')
    if (line !== this.#line) return
    const first = this.identityKey === undefined
    this.identityKey = session.identityKey
    line.connection.prove()
    clearTimeout(this.#proof)
    if (session.clientNonce === '') {
      // Proven by an answer to a handshake of another connection: to sign for it takes one of our own.
      if (this.#session === undefined && line.handshake === undefined) this.#openHandshake(opening)
    } else {
      this.#session = session
      for (const event of this.#queued.splice(0)) this.send(event)
    }
    if (first) {
      // From now on its output counts for the identity as well.
      this.outbox.changeOwners()
      this.host.onProven(this)
      this.#dispatch('identified', opening)
    }
    if (fresh && !line.fresh) this.#becomeFresh(line)
  }

  #becomeFresh(line: Line): void {
    line.fresh = true
    if (this.#heldFrom !== undefined) this.outbox.release(this.#heldFrom)
    this.#heldFrom = undefined
    this.#dispatch('fresh', undefined)
    for (const proven of this.#whenFresh) proven()
    this.#whenFresh.clear()
  }

  #openHandshake(opening: Opening): void {
    const request = this.host.brc103.openHandshake()
    this.#line.handshake = { request, opening }
    this.#sendOnce(JSON.stringify(request))
  }

  /** @param message a BRC-103 message in JSON that belongs to this connection */
  #sendOnce(message: string): void {
    this.outbox.sendOnce(`["${AUTH_MESSAGE}",${message}]`)
  }

  /** Brings up to date what the client keeps of its rooms. */
  #seal(identityKey: IdentityKey): void {
    if (this.#isSealed) return
    this.outbox.sealed =
      this.#rooms.size === 0 ? '' : this.host.sealer.seal({ identityKey, rooms: [...this.#rooms] })
    this.#isSealed = true
  }

  #owners(): string[] {
    return [
      this.#line.connection.address,
      ...(this.identityKey === undefined ? [] : [this.identityKey]),
    ]
  }

  #overflow(): void {
    if (!this.#line.io.connected) return this.#lose()
    this.host.counters.slowReaders++
    this.#line.connection.end()
  }

  /** Too much is kept for a client that is away: it cannot come back as if nothing had happened. */
  #lose(): void {
    if (this.#line.io.connected) this.#line.connection.end()
    this.host.onLost(this)
  }

  #dispatch(eventName: string, data: unknown): void {
    if (this.#ended) return
    for (const listener of this.#listeners.get(eventName) ?? []) listener(data)
  }

  #refuseUnsigned(): void {
    clearTimeout(this.#silence)
    this.#tell(
      'This connection must be authenticated with BRC-103: connect with @bsv/authsocket-client, which signs every event.',
    )
    this.#countFault()
  }

  /** What a client did wrong counts against it; what the server did wrong is told to the host. */
  #fault(error: unknown, { io }: Line): void {
    if (!(error instanceof ApiError)) return this.host.onError(error)
    if (TOLD.has(error.code) && io.connected) this.#tell(error.message)
    this.#countFault()
  }

  #tell(reason: string): void {
    this.outbox.sendOnce(JSON.stringify([EVENTS.authenticationFailed, { reason }]))
  }

  #countFault(): void {
    this.host.counters.faults++
    if (++this.#faults > this.options.maxFaults) this.disconnect()
  }
}

function tooLarge(): ApiError {
  return new ApiError(
    'ERR_BODY_TOO_LARGE',
    `A live message holds up to ${MAX_LIVE_BODY} bytes: send it over HTTP.`,
    { limit: MAX_LIVE_BODY },
  )
}

function remember(line: Line, session: Session): void {
  line.sessions = [...line.sessions, session].slice(-MAX_SESSIONS)
}

function asRecord(frame: unknown): Record<string, unknown> {
  return (typeof frame === 'object' && frame !== null ? frame : {}) as Record<string, unknown>
}

/** Longer than any spelling of an identity key, in characters. */
const MAX_CLAIMED_KEY = 200

function claimedKeyOf({ handshake }: Socket): string | undefined {
  const claimed: unknown = handshake.auth.identityKey ?? handshake.query.identityKey
  if (claimed === undefined) return undefined
  return typeof claimed === 'string' && claimed.length <= MAX_CLAIMED_KEY ? claimed : ''
}
