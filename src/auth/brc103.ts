/**
 * BRC-103 mutual authentication, independent of the transport: answers handshakes, verifies what
 * clients sign, signs what the server sends. Its only state is the nonces that it has seen
 * recently.
 */
import { createHash } from 'node:crypto'
import { ApiError } from '../contract/errors'
import type { IdentityKey } from '../contract/protocol'
import { describe, fieldsOf, publicKey } from '../contract/schema'
import { asFields, toIdentityKey, type Fields } from '../contract/primitives'
import { drawRandomBytes } from '../lib/randomPool'
import type { ReplayGuard } from './replay'
import { MAX_CLIENT_NONCE_LENGTH, type Session, type SessionSealer } from './session'
import type { ServerKey, KeyName } from './serverKey'

export const AUTH_VERSION = '0.1'

const INITIAL_REQUEST = 'initialRequest'

/**
 * The longest nonce of a general message in a session whose nonce has no MAC, in characters. With a
 * longer one, an attacker could turn what a client signs in a handshake with the attacker into a
 * message: see decision 0001.
 */
const MAX_MESSAGE_NONCE_LENGTH = 64

/** The length of an identity key in its canonical form. */
const KEY_CHARACTERS = 66

/** Nonces are part of headers and of key ids: printable ASCII only. */
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
        maxLength: MAX_CLIENT_NONCE_LENGTH,
        pattern: NONCE.source,
        description:
          `1 to ${MAX_CLIENT_NONCE_LENGTH} printable ASCII characters without blanks; ` +
          'random, and new for each handshake.',
      },
    },
  },
  ['version', 'messageType', 'identityKey', 'initialNonce'],
)

/**
 * What a general message says beside its payload. `nonce` is the sender's, `yourNonce` names the
 * session.
 */
export interface MessageClaims {
  version: unknown
  identityKey: unknown
  nonce: unknown
  yourNonce: unknown
  signature: Buffer
}

/** What the server adds to a payload that it signs. */
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

/** The answer to a handshake. The server neither requests nor has certificates. */
export interface InitialResponse {
  version: string
  messageType: 'initialResponse'
  identityKey: IdentityKey
  initialNonce: string
  yourNonce: string
  requestedCertificates: { certifiers: []; types: Record<string, never> }
  /** DER, as numbers, for JSON. */
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
   * @param carrier what keeps the session. A connection remembers it, and its nonce is unique.
   * Otherwise the nonce contains the session, and the same request gets the same nonce.
   * @throws ApiError ERR_INVALID_AUTH_MESSAGE, or ERR_CERTIFICATES_NOT_SUPPORTED for certificate
   * messages.
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
        `"initialNonce" must be a string of 1 to ${MAX_CLIENT_NONCE_LENGTH} ` +
          'printable ASCII characters.',
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

  /**
   * Begins a handshake with a client that has not begun one; the answer repeats its `initialNonce`.
   */
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
   * The session that results from a client's answer to a handshake that the server began.
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
   * Finds the session that a message names, before its payload is known. The message must name the
   * identity of the session.
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
    if (nonce.length > MAX_MESSAGE_NONCE_LENGTH && !this.sealer.isSealed(yourNonce))
      throw unknownSession(
        `the message's own nonce has more than ${MAX_MESSAGE_NONCE_LENGTH} characters`,
      )
    return session
  }

  /**
   * The session of a message whose nonce the server made for another connection. It proves the
   * identity that the message names, but the server cannot sign for it, since it does not know the
   * client's nonce.
   * @returns undefined if the message names any other kind of session
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
   * Checks that the identity of a session signed a payload, and that the payload has not been
   * received before.
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
    // Sessions of other servers, or of an earlier key of this server, fail here: they look like
    // this server's.
    if (!valid) throw unknownSession(SIGNATURE_MISMATCH)
    if (!(await this.replays.firstSeen(session.identityKey, nonce)))
      throw unknownSession('this message was received before')
    this.sealer.keep(session)
  }

  /**
   * Signs a payload for a session.
   * @param hash SHA-256 of the payload
   */
  async signGeneral(session: Session, hash: Buffer): Promise<SignedClaims> {
    const nonce = drawRandomBytes(32).toString('base64')
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

  /**
   * Rejects the server's own key: for it, an answer of the server would be a valid message of the
   * client.
   */
  #peerKey(claimed: unknown): IdentityKey | undefined {
    const key = toIdentityKey(claimed)
    return key === this.serverKey.identityKey ? undefined : key
  }

  #unseal(nonce: string, claimedKey: string): Session | undefined {
    const identityKey = this.#peerKey(claimedKey)
    return identityKey === undefined ? undefined : this.sealer.open(nonce, identityKey)
  }
}

/** What a handshake signs: the nonce of the side that began it, then the nonce of the other. */
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
  return typeof value === 'string' && value.length <= MAX_CLIENT_NONCE_LENGTH && NONCE.test(value)
}

function asMessage(message: unknown): Fields {
  const fields = asFields(message)
  if (fields === undefined) throw invalid('A handshake is a JSON object.')
  return fields
}

/** Reads bytes, which in JSON are an array of numbers. Any other value is empty. */
export function toBytes(field: unknown): Buffer {
  if (Buffer.isBuffer(field)) return field
  return Array.isArray(field) ? Buffer.from(field) : Buffer.alloc(0)
}

function invalid(description: string): ApiError {
  return new ApiError('ERR_INVALID_AUTH_MESSAGE', description)
}

/** The doctor recognises it: a proxy between the client and the server changed the request. */
export const SIGNATURE_MISMATCH = 'the signature does not belong to this message'

/** Released clients make a new handshake only if the description begins with these words. */
function unknownSession(reason: string): ApiError {
  return unauthorized(`Session not found for nonce: ${reason}.`)
}

export function unauthorized(description?: string): ApiError {
  return new ApiError('UNAUTHORIZED', description)
}
