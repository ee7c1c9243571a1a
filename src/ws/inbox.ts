import type { Socket } from 'socket.io'
import { toBytes, unauthorized, type MessageClaims } from '../auth/brc103'
import type { Session } from '../auth/session'
import { ApiError, type ErrorCode } from '../contract/errors'
import { asFields } from '../contract/primitives'
import { MAX_LIVE_BODY_BYTES, type IdentityKey } from '../contract/protocol'
import type { ByteAccount } from '../limits/budget'
import { UNPROVEN_BYTES, type Connection } from './connection'
import { decodeEvent } from './eventCodec'
import { FaultCounter } from './faultCounter'
import { OVERSIZED, readBeginning } from './oversized'
import type { Opening, Peer, PeerLink, Proof } from './peer'
import type { AuthSocketHost, AuthSocketListener } from './socketHost'

/** Errors that the client is told of, unsigned, though it has proven no identity. */
const TOLD_ERRORS = new Set<ErrorCode>(['ERR_CERTIFICATES_NOT_SUPPORTED', 'ERR_RATE_LIMITED'])

const MAX_WAITING_FRAMES = 1000
/** Bytes travel as numbers in JSON, of about this many characters each. */
const CHARACTERS_PER_BYTE = 4

/** A frame as it arrived, its bytes no longer as numbers. */
interface Frame {
  message: Record<string, unknown>
  payload: Buffer
  signature: Buffer
}

/** What belongs to one connection, and ends with it. */
export interface Link {
  io: Socket
  connection: Connection
  peer: PeerLink
  /** The bytes of the frames that wait for earlier ones. */
  waiting: ByteAccount
}

export interface InboxParts {
  peer: Peer
  host: AuthSocketHost
  listener: () => AuthSocketListener
  maxFaults: number
  address: () => string
  /** Sends a handshake message on the present connection. */
  sendHandshake: (message: object) => void
  /** Sends an error without a signature. */
  sendUnsignedError: (reason: string) => void
  /** Called when a signature has proven the identity on the present connection. */
  onProof: (proof: Proof, opening: Opening, link: Link) => void
  /** Closes the connection; its client may connect again. */
  close: () => void
  /** Ends the socket for good. */
  disconnect: () => void
}

/**
 * Receives a socket's frames, one after the other: admits them, verifies them, and counts what is
 * wrong with them.
 */
export class Inbox {
  readonly #faults: FaultCounter
  #last = Promise.resolve()
  #waitingFrames = 0
  #ended = false

  constructor(private readonly parts: InboxParts) {
    this.#faults = new FaultCounter(parts.maxFaults)
  }

  /** Queues a frame. A server that stops waits until it is handled. */
  add(raw: unknown, link: Link): void {
    const { payload, signature, ...message } = asFields(raw) ?? {}
    const frame: Frame = { message, payload: toBytes(payload), signature: toBytes(signature) }
    if (++this.#waitingFrames > MAX_WAITING_FRAMES) return link.connection.end()
    const bytes = frame.payload.length + frame.signature.length
    try {
      link.waiting.resize(link.waiting.bytes + bytes)
    } catch {
      return link.connection.end()
    }
    this.#last = this.#last.then(async () => {
      await this.#receive(frame, link)
      this.#waitingFrames--
      link.waiting.resize(Math.max(0, link.waiting.bytes - bytes))
    })
    this.parts.host.work.track(this.#last)
  }

  /** Counts a frame of the client's that is broken or unsigned. */
  addFault(): void {
    this.parts.host.counters.faults++
    if (this.#faults.addFault()) this.parts.disconnect()
  }

  /** Handles no frame any more. */
  end(): void {
    this.#ended = true
  }

  async #receive(frame: Frame, link: Link): Promise<void> {
    if (this.#ended) return
    const { peer } = this.parts
    const { messageType } = frame.message
    try {
      const rejection = await this.#admit(peer.identityKey, frame)
      if (this.#ended) return
      if (rejection !== undefined) this.#reject(frame, rejection)
      else if (messageType === OVERSIZED) this.#reject(frame, createTooLargeError())
      else if (messageType === 'general') await this.#receiveGeneral(frame, link)
      else if (messageType === 'initialResponse') await this.#receiveResponse(frame, link)
      else await this.#answerHandshake(frame, link)
    } catch (error) {
      this.#report(error, link)
      if (
        peer.identityKey === undefined &&
        frame.payload.length * CHARACTERS_PER_BYTE > UNPROVEN_BYTES
      )
        link.connection.end()
    }
  }

  /**
   * Counts a frame before it costs more than reading it.
   * @returns the error, if there are too many
   */
  async #admit(
    identityKey: IdentityKey | undefined,
    { payload }: Frame,
  ): Promise<ApiError | undefined> {
    const { host, address } = this.parts
    try {
      await host.admit(address(), identityKey, payload.length * CHARACTERS_PER_BYTE)
      this.#faults.clearRejections()
      return undefined
    } catch (error) {
      if (isClientFault(error)) return error
      throw error
    }
  }

  #reject({ message, payload }: Frame, error: ApiError): void {
    if (this.#faults.addRejection()) return this.parts.close()
    if (this.parts.peer.identityKey === undefined) throw error
    const event = message.messageType === 'general' ? decodeEvent(payload) : readBeginning(payload)
    if (event !== undefined) this.parts.listener().onRejected(event.eventName, event.data, error)
  }

  async #answerHandshake({ message }: Frame, link: Link): Promise<void> {
    const response = await this.parts.peer.answerHandshake(message, link.peer)
    link.connection.introduce()
    this.parts.sendHandshake(response)
  }

  async #receiveGeneral(frame: Frame, link: Link): Promise<void> {
    const { peer, listener } = this.parts
    const claims = { ...frame.message, signature: frame.signature } as unknown as MessageClaims
    const session = peer.findSession(claims, link.peer)
    const event = decodeEvent(frame.payload)
    // A request that was signed for HTTP must neither prove an identity here nor use up its nonce.
    if (event === undefined) throw unauthorized('This is no event.')
    await peer.verify(session, claims, frame.payload)
    this.#faults.clearFaults()
    const isFirst = peer.identityKey === undefined
    this.#prove(session, 'client', link)
    // The first frame was counted for its address only, since its identity was unknown.
    const rejection = isFirst ? await this.#admit(session.identityKey, frame) : undefined
    if (this.#ended) return
    if (rejection === undefined) listener().onEvent(event.eventName, event.data)
    else listener().onRejected(event.eventName, event.data, rejection)
  }

  async #receiveResponse({ message, signature }: Frame, link: Link): Promise<void> {
    const { session, opening } = await this.parts.peer.acceptResponse(
      { ...message, signature },
      link.peer,
    )
    this.#prove(session, opening, link)
  }

  #prove(session: Session, opening: Opening, link: Link): void {
    const proof = this.parts.peer.prove(session, opening, link.peer)
    if (proof !== undefined) this.parts.onProof(proof, opening, link)
  }

  /**
   * Counts an error of the client's against it. An error of the server's is logged, and is not
   * counted.
   */
  #report(error: unknown, { io }: Link): void {
    if (!isClientFault(error)) return this.parts.host.onError(error)
    if (TOLD_ERRORS.has(error.code) && io.connected) this.parts.sendUnsignedError(error.message)
    this.addFault()
  }
}

/** Whether an error is of the client's making. With a status of 500 or above it is the server's. */
function isClientFault(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status < 500
}

function createTooLargeError(): ApiError {
  return new ApiError(
    'ERR_BODY_TOO_LARGE',
    `A live message holds up to ${MAX_LIVE_BODY_BYTES} bytes: send it over HTTP.`,
    { limit: MAX_LIVE_BODY_BYTES },
  )
}
