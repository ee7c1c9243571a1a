/**
 * Sessions without a table. With each request the client sends the nonce that the server gave it in
 * the handshake. That nonce contains what the server needs: the nonce that the client gave. The
 * server stores nothing that could be flooded, evicted or lost in a restart, and every node with
 * the server's key knows every session.
 *
 * The short form: the client's nonce of 48 bytes, encrypted to the same length, with the identity
 * key as tweak. Newer clients accept no other length. It has no MAC: see decision 0001.
 *
 * The long form, for client nonces of other lengths: random (16 to 18 bytes, so that the whole is a
 * multiple of three: the released client decodes two base64 nonces joined to one string), time (6),
 * identity key (33), client nonce (UTF-8), its length (2), HMAC (32). The time is not checked.
 *
 * For connections, which remember their sessions, the nonce is random with a MAC.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IdentityKey } from '../contract/protocol'
import { BoundedMap } from '../lib/boundedMap'

export interface Session {
  /**
   * The identity that the handshake named, and that every message of the session must be signed by.
   */
  identityKey: IdentityKey
  /** The client's nonce of the handshake; what the server signs names it. */
  clientNonce: string
  /** The server's nonce: it names the session. */
  serverNonce: string
}

/** Longest client nonce in characters: it keeps key ids within BRC-43's 800 characters. */
export const MAX_CLIENT_NONCE_LENGTH = 256

const SHORT_BYTES = 48
const HALF_BYTES = SHORT_BYTES / 2
/**
 * Four rounds are indistinguishable from a random permutation in both directions (Luby and
 * Rackoff).
 */
const ROUNDS = [0, 1, 2, 3]
const ROUNDS_BACK = [3, 2, 1, 0]

const MIN_RANDOM_BYTES = 16
const TIME_BYTES = 6
const KEY_BYTES = 33
const LENGTH_BYTES = 2
const MAC_BYTES = 32
const FIXED_BYTES = MIN_RANDOM_BYTES + TIME_BYTES + KEY_BYTES + LENGTH_BYTES + MAC_BYTES

/** How many opened sessions are cached, at about 400 bytes each. */
const MAX_CACHED_SESSIONS = 10_000

export class SessionSealer {
  readonly #longKey: Buffer
  readonly #shortKey: Buffer
  readonly #connectionKey: Buffer
  /**
   * By the server's nonce, the least recently used first. Only sessions with a valid signature are
   * cached, so that others cannot evict them.
   */
  readonly #cached = new BoundedMap<string, Session>(MAX_CACHED_SESSIONS)

  /** @param secret the sealing key, 32 bytes; see `deriveSealingKey` */
  constructor(secret: Buffer) {
    this.#longKey = secret
    this.#shortKey = hmac(secret, Buffer.from('short sessions'))
    this.#connectionKey = hmac(secret, Buffer.from('nonces of connections'))
  }

  /**
   * Makes the session of an identity and its nonce, which has at most `MAX_CLIENT_NONCE_LENGTH`
   * characters.
   */
  seal(identityKey: IdentityKey, clientNonce: string): Session {
    const nonce = shortNonce(clientNonce)
    const sealed =
      nonce === undefined
        ? this.#sealLong(identityKey, clientNonce)
        : this.#permute(identityKey, nonce, ROUNDS)
    return { identityKey, clientNonce, serverNonce: sealed.toString('base64') }
  }

  /**
   * The session that a nonce names. A short nonce always opens: if it is invented, or belongs to
   * another identity, the session has a client nonce that no client gave.
   * @param identityKey the client that names the session
   * @returns undefined if the nonce names no session; the result may belong to another identity
   */
  open(serverNonce: string, identityKey: IdentityKey): Session | undefined {
    const nonce = shortNonce(serverNonce)
    if (nonce === undefined) return this.#openLong(serverNonce)
    if (this.#isOfConnection(nonce)) return undefined
    return {
      identityKey,
      clientNonce: this.#permute(identityKey, nonce, ROUNDS_BACK).toString('base64'),
      serverNonce,
    }
  }

  /** A session from the cache. */
  recall(serverNonce: string, identityKey: IdentityKey): Session | undefined {
    const session = this.#cached.get(serverNonce)
    return session?.identityKey === identityKey ? session : undefined
  }

  /** Caches a session in which a signature was valid. */
  keep(session: Session): void {
    // Connections remember their own sessions, and over HTTP such a nonce names none.
    if (!this.#cached.has(session.serverNonce) && this.isConnectionNonce(session.serverNonce))
      return
    this.#cached.set(session.serverNonce, session)
  }

  /** Makes a nonce of 48 bytes for a connection, which remembers its session. */
  makeConnectionNonce(): string {
    const random = randomBytes(SHORT_BYTES - MAC_BYTES)
    return Buffer.concat([random, hmac(this.#connectionKey, random)]).toString('base64')
  }

  /** Whether a nonce that names a session has a MAC of the server. */
  isSealed(serverNonce: string): boolean {
    const nonce = shortNonce(serverNonce)
    return nonce === undefined || this.#isOfConnection(nonce)
  }

  /** Whether a nonce comes from `makeConnectionNonce`, or from the long form that it replaced. */
  isConnectionNonce(serverNonce: string): boolean {
    const nonce = shortNonce(serverNonce)
    return nonce === undefined
      ? this.#openLong(serverNonce)?.clientNonce === ''
      : this.#isOfConnection(nonce)
  }

  #isOfConnection(nonce: Buffer): boolean {
    return timingSafeEqual(
      nonce.subarray(-MAC_BYTES),
      hmac(this.#connectionKey, nonce.subarray(0, -MAC_BYTES)),
    )
  }

  /** A Feistel network over both halves. The rounds in reverse order are its inverse. */
  #permute(identityKey: IdentityKey, block: Buffer, rounds: number[]): Buffer {
    const input = Buffer.alloc(1 + KEY_BYTES + HALF_BYTES)
    input.write(identityKey, 1, 'hex')
    let [left, right] = [
      Buffer.from(block.subarray(0, HALF_BYTES)),
      Buffer.from(block.subarray(HALF_BYTES)),
    ]
    for (const round of rounds) {
      input[0] = round
      right.copy(input, 1 + KEY_BYTES)
      const mask = hmac(this.#shortKey, input)
      for (let i = 0; i < HALF_BYTES; i++) left[i]! ^= mask[i]!
      ;[left, right] = [right, left]
    }
    return Buffer.concat([right, left])
  }

  #sealLong(identityKey: IdentityKey, clientNonce: string): Buffer {
    const nonce = Buffer.from(clientNonce, 'utf8')
    const padding = (3 - ((FIXED_BYTES + nonce.length) % 3)) % 3
    const time = Buffer.alloc(TIME_BYTES)
    time.writeUIntBE(Date.now(), 0, TIME_BYTES)
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt16BE(nonce.length)
    const sealed = Buffer.concat([
      randomBytes(MIN_RANDOM_BYTES + padding),
      time,
      Buffer.from(identityKey, 'hex'),
      nonce,
      length,
    ])
    return Buffer.concat([sealed, hmac(this.#longKey, sealed)])
  }

  #openLong(serverNonce: string): Session | undefined {
    const bytes = decodeCanonical(serverNonce)
    if (bytes === undefined || bytes.length < FIXED_BYTES) return undefined
    const sealed = bytes.subarray(0, -MAC_BYTES)
    if (!timingSafeEqual(bytes.subarray(-MAC_BYTES), hmac(this.#longKey, sealed))) return undefined
    const nonceEnd = sealed.length - LENGTH_BYTES
    const nonceStart = nonceEnd - sealed.readUInt16BE(nonceEnd)
    return {
      identityKey: sealed.toString('hex', nonceStart - KEY_BYTES, nonceStart),
      clientNonce: sealed.toString('utf8', nonceStart, nonceEnd),
      serverNonce,
    }
  }
}

function shortNonce(nonce: string): Buffer | undefined {
  const bytes = nonce.length === (SHORT_BYTES / 3) * 4 ? decodeCanonical(nonce) : undefined
  return bytes?.length === SHORT_BYTES ? bytes : undefined
}

/** Base64 can spell the same bytes in several ways; only the server's spelling names a session. */
function decodeCanonical(base64: string): Buffer | undefined {
  const bytes = Buffer.from(base64, 'base64')
  return bytes.toString('base64') === base64 ? bytes : undefined
}

function hmac(key: Buffer, data: Buffer): Buffer {
  return createHmac('sha256', key).update(data).digest()
}
