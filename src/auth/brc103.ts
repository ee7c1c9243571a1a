/**
 * BRC-103 mutual authentication, on messages, whatever carries them: answer a handshake, check what a client
 * signed, sign what the server says. It keeps no state but the nonces that it has seen recently.
 */
import { createHash, randomBytes } from 'node:crypto'
import { ApiError } from '../contract/errors'
import type { IdentityKey } from '../contract/protocol'
import { describe, fieldsOf, publicKey } from '../contract/schema'
import { asFields, toIdentityKey, type Fields } from '../contract/primitives'
import type { ReplayGuard } from './replay'
import { MAX_CLIENT_NONCE, type Session, type SessionSealer } from './session'
import type { ServerKey, KeyName } from './serverKey'

export const AUTH_VERSION = '0.1'

const INITIAL_REQUEST = 'initialRequest'

/**
 * The longest nonce of a general message in a session whose name has no MAC, in characters. With a longer one, what a
 * client signs when it answers a stranger's handshake could be bent into a message; decision 0001 shows how.
 */
const MAX_MESSAGE_NONCE = 64

/** Of an identity key in its canonical form. */
const KEY_CHARACTERS = 66

/** Nonces travel in headers and in key ids, so they are bounded and plain. */
const NONCE = /^[\x21-\x7e]+$/

/** The message that begins a handshake. */
export const HANDSHAKE_REQUEST = fieldsOf(
  {
    version: { json: { const: AUTH_VERSION } },
    messageType: { json: { const: INITIAL_REQUEST } },
    identityKey: describe(
      publicKey,
      "The client's identity key, which the session will belong to; never the server's own.",
    ),
    initialNonce: {
      json: {
        type: 'string',
        maxLength: MAX_CLIENT_NONCE,
        pattern: NONCE.source,
        description: `1 to ${MAX_CLIENT_NONCE} printable ASCII characters without blanks; fresh random ones for each handshake.`,
      },
    },
  },
  ['version', 'messageType', 'identityKey', 'initialNonce'],
)

/** What a general message claims of itself, beside its payload. `nonce` is the sender's, `yourNonce` names the session. */
export interface MessageClaims {
  version: unknown
  identityKey: unknown
  nonce: unknown
  yourNonce: unknown
  signature: Buffer
}

/** What the server adds to a payload of its own. */
export interface SignedClaims {
  version: string
  identityKey: IdentityKey
  nonce: string
  yourNonce: string
  signature: Buffer
}

/** A handshake that the server begins. */
export interface InitialRequest {
  version: string
  messageType: 'initialRequest'
  identityKey: IdentityKey
  initialNonce: string
  requestedCertificates: { certifiers: []; types: Record<string, never> }
}

/** The answer to a handshake; certificates are neither asked for nor given. */
export interface InitialResponse {
  version: string
  messageType: 'initialResponse'
  identityKey: IdentityKey
  initialNonce: string
  yourNonce: string
  requestedCertificates: { certifiers: []; types: Record<string, never> }
  /** DER, as numbers: so it travels in JSON. */
  signature: number[]
}

export class Brc103 {
  constructor(
    private readonly serverKey: ServerKey,
    private readonly sealer: SessionSealer,
    private readonly replays: ReplayGuard,
  ) {}

  /**
   * Answers an `initialRequest`.
   * @param carrier a connection remembers the session itself, which is proven by a nonce that was given to no other;
   * elsewhere the nonce carries the session, and the same request gets the same one
   * @throws ApiError ERR_INVALID_AUTH_MESSAGE, or ERR_CERTIFICATES_NOT_SUPPORTED for certificate messages.
   */
  async answerHandshake(
    message: unknown,
    carrier: 'nonce' | 'connection',
  ): Promise<{ response: InitialResponse; session: Session }> {
    const { version, messageType, identityKey: claimedKey, initialNonce } = asMessage(message)
    if (messageType === 'certificateRequest' || messageType === 'certificateResponse')
      throw new ApiError('ERR_CERTIFICATES_NOT_SUPPORTED')
    if (messageType !== INITIAL_REQUEST) throw invalid('"messageType" must be "initialRequest".')
    if (version !== AUTH_VERSION) throw invalid(`"version" must be "${AUTH_VERSION}".`)
    const identityKey = this.#peerKey(claimedKey)
    if (identityKey === undefined)
      throw invalid(
        '"identityKey" must be a secp256k1 public key in hex, other than this server\'s.',
      )
    if (!isNonce(initialNonce))
      throw invalid(
        `"initialNonce" must be a string of 1 to ${MAX_CLIENT_NONCE} printable ASCII characters.`,
      )

    const session =
      carrier === 'nonce'
        ? this.sealer.seal(identityKey, initialNonce)
        : { identityKey, clientNonce: initialNonce, serverNonce: this.sealer.makeConnectionNonce() }
    const hash = hashNonces(initialNonce, session.serverNonce)
    const signature = await this.serverKey.signHash(
      hash,
      signatureKey(initialNonce, session.serverNonce, identityKey),
    )
    return {
      session,
      response: {
        version: AUTH_VERSION,
        messageType: 'initialResponse',
        identityKey: this.serverKey.identityKey,
        initialNonce: session.serverNonce,
        yourNonce: initialNonce,
        requestedCertificates: { certifiers: [], types: {} },
        signature: [...signature],
      },
    }
  }

  /** Begins a handshake with a client that has not begun one itself; `initialNonce` names it in the answer. */
  openHandshake(): InitialRequest {
    return {
      version: AUTH_VERSION,
      messageType: 'initialRequest',
      identityKey: this.serverKey.identityKey,
      initialNonce: this.sealer.makeConnectionNonce(),
      requestedCertificates: { certifiers: [], types: {} },
    }
  }

  /**
   * The session that a client's `initialResponse` makes of a handshake the server began.
   * @throws ApiError UNAUTHORIZED
   */
  async acceptResponse(message: unknown, request: InitialRequest): Promise<Session> {
    const {
      version,
      identityKey: claimedKey,
      initialNonce,
      yourNonce,
      signature,
    } = asMessage(message)
    const identityKey = this.#peerKey(claimedKey)
    if (
      version !== AUTH_VERSION ||
      identityKey === undefined ||
      !isNonce(initialNonce) ||
      yourNonce !== request.initialNonce
    ) {
      throw unauthorized('This does not answer the handshake.')
    }
    const hash = hashNonces(request.initialNonce, initialNonce)
    if (
      !(await this.serverKey.verifyHash(
        hash,
        toBytes(signature),
        signatureKey(request.initialNonce, initialNonce, identityKey),
      ))
    ) {
      throw unauthorized('The signature does not belong to this handshake.')
    }
    return { identityKey, clientNonce: initialNonce, serverNonce: request.initialNonce }
  }

  /**
   * The session that a message names, before its payload is known. The identity is the session's; a message
   * that names another one is refused.
   * @param known sessions that the connection remembers
   * @throws ApiError UNAUTHORIZED
   */
  openSession(
    { version, identityKey: claimedKey, nonce, yourNonce }: MessageClaims,
    known: readonly Session[] = [],
  ): Session {
    if (version !== AUTH_VERSION)
      throw unauthorized(`The protocol's version must be ${AUTH_VERSION}.`)
    if (!isNonce(nonce)) throw unauthorized('The message has no nonce.')
    if (typeof claimedKey !== 'string' || typeof yourNonce !== 'string')
      throw unknownSession('the message names no session')
    const identityKey =
      claimedKey.length === KEY_CHARACTERS
        ? claimedKey.toLowerCase()
        : (toIdentityKey(claimedKey) ?? claimedKey)
    const session =
      known.find(({ serverNonce }) => serverNonce === yourNonce) ??
      this.sealer.recall(yourNonce, identityKey) ??
      this.#unseal(yourNonce, identityKey)
    if (session === undefined) throw unknownSession('make a new handshake')
    if (identityKey !== session.identityKey)
      throw unknownSession('it belongs to another identity key than the message names')
    if (nonce.length > MAX_MESSAGE_NONCE && !this.sealer.isSealed(yourNonce))
      throw unknownSession(`the message's own nonce has more than ${MAX_MESSAGE_NONCE} characters`)
    return session
  }

  /**
   * The session of a message whose nonce the server made for some other connection. It proves the identity that the
   * message names, but cannot be signed for: the client's nonce is not known.
   * Undefined where the message names any other kind of session.
   */
  openForeignHandshake({
    version,
    identityKey: claimedKey,
    nonce,
    yourNonce,
  }: MessageClaims): Session | undefined {
    const identityKey = this.#peerKey(claimedKey)
    if (
      identityKey === undefined ||
      version !== AUTH_VERSION ||
      !isNonce(nonce) ||
      typeof yourNonce !== 'string'
    )
      return undefined
    return this.sealer.isConnectionNonce(yourNonce)
      ? { identityKey, clientNonce: '', serverNonce: yourNonce }
      : undefined
  }

  /**
   * Checks that a session's identity signed a payload, for the first time.
   * @param hash SHA-256 of the payload
   * @throws ApiError UNAUTHORIZED
   */
  async verifyGeneral(session: Session, claims: MessageClaims, hash: Buffer): Promise<void> {
    const nonce = claims.nonce as string
    const valid = await this.serverKey.verifyHash(
      hash,
      claims.signature,
      signatureKey(nonce, session.serverNonce, session.identityKey),
    )
    // A session of another server, or of this one under another key, cannot be told from one of ours until here.
    if (!valid) throw unknownSession('the signature does not belong to this message')
    if (!(await this.replays.firstSeen(session.identityKey, nonce)))
      throw unknownSession('this message was received before')
    this.sealer.keep(session)
  }

  /**
   * Signs a payload for a session.
   * @param hash SHA-256 of the payload
   */
  async signGeneral(session: Session, hash: Buffer): Promise<SignedClaims> {
    const nonce = randomBytes(32).toString('base64')
    const signature = await this.serverKey.signHash(
      hash,
      signatureKey(nonce, session.clientNonce, session.identityKey),
    )
    return {
      version: AUTH_VERSION,
      identityKey: this.serverKey.identityKey,
      nonce,
      yourNonce: session.clientNonce,
      signature,
    }
  }

  /** Never our own key: in our own name, what we answer would be a message signed by the one whom we answer. */
  #peerKey(claimed: unknown): IdentityKey | undefined {
    const key = toIdentityKey(claimed)
    return key === this.serverKey.identityKey ? undefined : key
  }

  #unseal(nonce: string, claimedKey: string): Session | undefined {
    const identityKey = this.#peerKey(claimedKey)
    return identityKey === undefined ? undefined : this.sealer.open(nonce, identityKey)
  }
}

/** What a handshake signs: the nonce of who began it, then the other's. */
function hashNonces(first: string, second: string): Buffer {
  return createHash('sha256')
    .update(Buffer.from(first, 'base64'))
    .update(Buffer.from(second, 'base64'))
    .digest()
}

/** BRC-103's key for a message: the sender's nonce, then the receiver's. */
function signatureKey(nonce: string, yourNonce: string, counterparty: IdentityKey): KeyName {
  return { protocolID: [2, 'auth message signature'], keyID: `${nonce} ${yourNonce}`, counterparty }
}

function isNonce(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_CLIENT_NONCE && NONCE.test(value)
}

function asMessage(message: unknown): Fields {
  const fields = asFields(message)
  if (fields === undefined) throw invalid('A handshake is a JSON object.')
  return fields
}

/** A field of bytes: as it travels in JSON, an array of numbers, or as bytes. Anything else is empty. */
export function toBytes(field: unknown): Buffer {
  if (Buffer.isBuffer(field)) return field
  return Array.isArray(field) ? Buffer.from(field) : Buffer.alloc(0)
}

function invalid(description: string): ApiError {
  return new ApiError('ERR_INVALID_AUTH_MESSAGE', description)
}

/** Released clients look for the words at the beginning: with them they make a new handshake, without they fail for ever. */
function unknownSession(reason: string): ApiError {
  return unauthorized(`Session not found for nonce: ${reason}.`)
}

/** The refusal of a client that has not proven an identity. */
export function unauthorized(description?: string): ApiError {
  return new ApiError('UNAUTHORIZED', description)
}
