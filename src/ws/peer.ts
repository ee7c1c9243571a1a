import {
  unauthorized,
  type Brc103,
  type InitialRequest,
  type InitialResponse,
  type MessageClaims,
} from '../auth/brc103'
import type { Session } from '../auth/session'
import type { IdentityKey } from '../contract/protocol'
import { encodeMessage, hashPayload, type EncodedEvent } from './eventCodec'

/**
 * Why a handshake began: the client began it, or the server did, because the client named a key,
 * sent nothing, or came back.
 */
export type Opening = 'client' | 'named' | 'silence' | 'return'

/** The handshakes of one connection. */
export interface PeerLink {
  /** The sessions that handshakes on this connection have made, the newest last. */
  sessions: Session[]
  /** The last handshake that the server has begun here. */
  handshake: { request: InitialRequest; opening: Opening } | undefined
  /**
   * The identity was proven over a nonce of this connection, so no captured message can have done
   * it.
   */
  isFresh: boolean
}

/** What a proof of the identity changed. */
export interface Proof {
  /** It is the client's first one. */
  isFirst: boolean
  /** It is the first one on this connection. */
  isFresh: boolean
}

const MAX_SESSIONS = 8
/** How long a client may take to answer a handshake that one of its events waits for. */
const ANSWER_TIMEOUT_MS = 10_000

/**
 * BRC-103 with one client over all of its connections: its sessions, its proven identity, and what
 * is signed for it. It knows no transport.
 */
export class Peer {
  /** The proven identity; undefined until there is one. */
  identityKey: IdentityKey | undefined
  /** The session that events are signed for; undefined until there is one. */
  session: Session | undefined
  #link!: PeerLink
  #whenFresh: Array<() => void> = []

  /** @param sendHandshake sends a handshake on the present connection */
  constructor(
    private readonly brc103: Brc103,
    private readonly sendHandshake: (request: InitialRequest) => void,
  ) {}

  /** Continues on a new connection; nothing is proven on it yet. */
  createLink(): PeerLink {
    this.#link = { sessions: [], handshake: undefined, isFresh: false }
    return this.#link
  }

  /** Begins a handshake on the present connection. */
  openHandshake(opening: Opening): void {
    const request = this.brc103.openHandshake()
    this.#link.handshake = { request, opening }
    this.sendHandshake(request)
  }

  /** @throws ApiError ERR_INVALID_AUTH_MESSAGE, ERR_CERTIFICATES_NOT_SUPPORTED */
  async answerHandshake(message: unknown, link: PeerLink): Promise<InitialResponse> {
    const { response, session } = await this.brc103.answerHandshake(message, 'connection')
    remember(link, session)
    return response
  }

  /**
   * The session that the answer to a handshake of the server's makes.
   * @throws ApiError UNAUTHORIZED
   */
  async acceptResponse(
    message: unknown,
    link: PeerLink,
  ): Promise<{ session: Session; opening: Opening }> {
    const { handshake } = link
    if (handshake === undefined) throw unauthorized('The server has begun no handshake.')
    const session = await this.brc103.acceptResponse(message, handshake.request)
    link.handshake = undefined
    remember(link, session)
    return { session, opening: handshake.opening }
  }

  /**
   * The session that a message names, which need not have been made on this socket. If it is not
   * known, the server begins a new handshake.
   * @throws ApiError UNAUTHORIZED
   */
  findSession(claims: MessageClaims, link: PeerLink): Session {
    try {
      return this.brc103.openSession(
        claims,
        this.session === undefined ? link.sessions : [...link.sessions, this.session],
      )
    } catch (error) {
      const foreign = this.brc103.openForeignHandshake(claims)
      if (foreign !== undefined) return foreign
      if (link.handshake === undefined) this.openHandshake('client')
      throw error
    }
  }

  /**
   * Checks the signature of a message, which must not have been received before.
   * @throws ApiError UNAUTHORIZED
   */
  async verify(session: Session, claims: MessageClaims, payload: Buffer): Promise<void> {
    await this.brc103.verifyGeneral(session, claims, hashPayload(payload))
  }

  /**
   * Binds the client to its first proven identity. From now on events are signed for this session.
   * @returns undefined if the connection is no longer the present one
   * @throws ApiError UNAUTHORIZED
   */
  prove(session: Session, opening: Opening, link: PeerLink): Proof | undefined {
    if (this.identityKey !== undefined && this.identityKey !== session.identityKey)
      throw unauthorized('Another identity was proven on this socket before.')
    if (link !== this.#link) return undefined
    const isFirst = this.identityKey === undefined
    this.identityKey = session.identityKey
    if (session.clientNonce !== '') this.session = session
    // Proven by an answer to a handshake of another connection, whose session the server cannot
    // sign for.
    else if (this.session === undefined && link.handshake === undefined) this.openHandshake(opening)
    const isFresh = !link.isFresh && link.sessions.includes(session)
    if (isFresh) this.#becomeFresh(link)
    return { isFirst, isFresh }
  }

  /**
   * Resolves when the identity is proven on the present connection. The server asks the client for
   * that if necessary.
   * @throws ApiError UNAUTHORIZED if the client does not answer
   */
  async proveFresh(): Promise<void> {
    if (this.#link.isFresh) return
    if (this.#link.handshake === undefined) this.openHandshake('client')
    await new Promise<void>((resolve, reject) => {
      const onFresh = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#whenFresh = this.#whenFresh.filter((other) => other !== onFresh)
        reject(unauthorized("This connection is new: answer the server's handshake first."))
      }, ANSWER_TIMEOUT_MS).unref()
      this.#whenFresh.push(onFresh)
    })
  }

  /** Signs an event for a session, as a general message in JSON. */
  async sign(session: Session, event: EncodedEvent): Promise<string> {
    return encodeMessage(await this.brc103.signGeneral(session, event.hash), event)
  }

  #becomeFresh(link: PeerLink): void {
    link.isFresh = true
    for (const onFresh of this.#whenFresh.splice(0)) onFresh()
  }
}

function remember(link: PeerLink, session: Session): void {
  link.sessions = [...link.sessions, session].slice(-MAX_SESSIONS)
}
