/**
 * Sessions that need no table. With each request the client hands back the nonce that the server gave it in the
 * handshake, so that nonce carries what the server must know: which nonce the client gave. Nothing is stored, so nothing
 * can be flooded, evicted or lost in a restart, and every node that has the server's key knows every session.
 *
 * The short form: the client's nonce of 48 bytes, encrypted without growing, with the identity key as tweak. Newer
 * clients accept no other length. It has no MAC: decision 0001 says what that means.
 *
 * The long form, for client nonces of other lengths: random (16 to 18 bytes, so that the whole is a multiple of three:
 * the released client decodes two base64 nonces joined to one string), time (6), identity key (33), client nonce
 * (UTF-8), its length (2), HMAC (32). The time is not looked at.
 *
 * Connections have memory: what the server gives there is random, and known again by its MAC.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IdentityKey } from '../contract/protocol'
import type { ServerKey } from './serverKey'

export interface Session {
  /** The identity that the handshake named, and that every message of the session must be signed by. */
  identityKey: IdentityKey
  /** The client's nonce of the handshake; what the server signs names it. */
  clientNonce: string
  /** The server's nonce: it names the session. */
  serverNonce: string
}

/** Longest client nonce in characters: with it, no key id grows beyond BRC-43's 800 characters. */
export const MAX_CLIENT_NONCE = 256

const SHORT = 48
const HALF = SHORT / 2
/** Luby and Rackoff: four rounds cannot be told from a random permutation, whichever way it is asked. */
const ROUNDS = [0, 1, 2, 3]
const ROUNDS_BACK = [3, 2, 1, 0]

const MIN_RANDOM = 16
const TIME = 6
const KEY = 33
const LENGTH = 2
const MAC = 32
const FIXED = MIN_RANDOM + TIME + KEY + LENGTH + MAC

/** How many sessions are kept open, at about 400 bytes each. */
const KEPT_SESSIONS = 10_000

export class SessionSealer {
  readonly #longKey: Buffer
  readonly #shortKey: Buffer
  readonly #connectionKey: Buffer
  /** By their names, the least recently used first. Only those that a signature has proven are kept, so strangers evict none. */
  readonly #kept = new Map<string, Session>()

  /** @param secret the sealing key, 32 bytes; see `deriveSealingKey` */
  constructor(secret: Buffer) {
    this.#longKey = secret
    this.#shortKey = hmac(secret, Buffer.from('short sessions'))
    this.#connectionKey = hmac(secret, Buffer.from('nonces of connections'))
  }

  /** Makes the session of an identity and its nonce (at most `MAX_CLIENT_NONCE` characters). */
  seal(identityKey: IdentityKey, clientNonce: string): Session {
    const nonce = shortNonce(clientNonce)
    const sealed =
      nonce === undefined
        ? this.#sealLong(identityKey, clientNonce)
        : this.#permute(identityKey, nonce, ROUNDS)
    return { identityKey, clientNonce, serverNonce: sealed.toString('base64') }
  }

  /**
   * The session that a nonce names. A short one that was made up, or belongs to another identity, opens as well, with a
   * client nonce that no client gave.
   * @param identityKey of the client that names it as its session
   * @returns undefined if the nonce names none; the identity of the result need not be the one that was asked with
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

  /** A session that was kept open. */
  recall(serverNonce: string, identityKey: IdentityKey): Session | undefined {
    const session = this.#kept.get(serverNonce)
    return session?.identityKey === identityKey ? session : undefined
  }

  /** Keeps a session open whose identity has signed something in it. */
  keep(session: Session): void {
    // A connection remembers its own, and over HTTP they are no sessions.
    if (!this.#kept.has(session.serverNonce) && this.isConnectionNonce(session.serverNonce)) return
    this.#kept.delete(session.serverNonce)
    this.#kept.set(session.serverNonce, session)
    if (this.#kept.size > KEPT_SESSIONS) this.#kept.delete(this.#kept.keys().next().value!)
  }

  /** A nonce of 48 bytes for a connection that remembers which session it names. */
  makeConnectionNonce(): string {
    const random = randomBytes(SHORT - MAC)
    return Buffer.concat([random, hmac(this.#connectionKey, random)]).toString('base64')
  }

  /** Whether a nonce that names a session proves by a MAC that the server made it. */
  isSealed(serverNonce: string): boolean {
    const nonce = shortNonce(serverNonce)
    return nonce === undefined || this.#isOfConnection(nonce)
  }

  /** Whether a nonce was made by `makeConnectionNonce`, for any connection, or before that existed. */
  isConnectionNonce(serverNonce: string): boolean {
    const nonce = shortNonce(serverNonce)
    return nonce === undefined
      ? this.#openLong(serverNonce)?.clientNonce === ''
      : this.#isOfConnection(nonce)
  }

  #isOfConnection(nonce: Buffer): boolean {
    return timingSafeEqual(nonce.subarray(-MAC), hmac(this.#connectionKey, nonce.subarray(0, -MAC)))
  }

  /** A Feistel network over both halves. With its rounds the other way round it undoes what it did. */
  #permute(identityKey: IdentityKey, block: Buffer, rounds: number[]): Buffer {
    const input = Buffer.alloc(1 + KEY + HALF)
    input.write(identityKey, 1, 'hex')
    let [left, right] = [Buffer.from(block.subarray(0, HALF)), Buffer.from(block.subarray(HALF))]
    for (const round of rounds) {
      input[0] = round
      right.copy(input, 1 + KEY)
      const mask = hmac(this.#shortKey, input)
      for (let i = 0; i < HALF; i++) left[i]! ^= mask[i]!
      ;[left, right] = [right, left]
    }
    return Buffer.concat([right, left])
  }

  #sealLong(identityKey: IdentityKey, clientNonce: string): Buffer {
    const nonce = Buffer.from(clientNonce, 'utf8')
    const padding = (3 - ((FIXED + nonce.length) % 3)) % 3
    const time = Buffer.alloc(TIME)
    time.writeUIntBE(Date.now(), 0, TIME)
    const length = Buffer.alloc(LENGTH)
    length.writeUInt16BE(nonce.length)
    const sealed = Buffer.concat([
      randomBytes(MIN_RANDOM + padding),
      time,
      Buffer.from(identityKey, 'hex'),
      nonce,
      length,
    ])
    return Buffer.concat([sealed, hmac(this.#longKey, sealed)])
  }

  #openLong(serverNonce: string): Session | undefined {
    const bytes = decodeCanonical(serverNonce)
    if (bytes === undefined || bytes.length < FIXED) return undefined
    const sealed = bytes.subarray(0, -MAC)
    if (!timingSafeEqual(bytes.subarray(-MAC), hmac(this.#longKey, sealed))) return undefined
    const nonceEnd = sealed.length - LENGTH
    const nonceStart = nonceEnd - sealed.readUInt16BE(nonceEnd)
    return {
      identityKey: sealed.toString('hex', nonceStart - KEY, nonceStart),
      clientNonce: sealed.toString('utf8', nonceStart, nonceEnd),
      serverNonce,
    }
  }
}

function shortNonce(nonce: string): Buffer | undefined {
  const bytes = nonce.length === (SHORT / 3) * 4 ? decodeCanonical(nonce) : undefined
  return bytes?.length === SHORT ? bytes : undefined
}

/** Base64 has several spellings of the same bytes; only the one we give out names a session. */
function decodeCanonical(base64: string): Buffer | undefined {
  const bytes = Buffer.from(base64, 'base64')
  return bytes.toString('base64') === base64 ? bytes : undefined
}

function hmac(key: Buffer, data: Buffer): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

/** The key under which a server's sessions are sealed: the same on every node and after every restart. */
export async function deriveSealingKey(serverKey: ServerKey): Promise<Buffer> {
  return await serverKey.createHmac(Buffer.from('sealed sessions'), {
    protocolID: [2, 'messagebox session sealing'],
    keyID: '1',
    counterparty: 'self',
  })
}

/** The key under which the rooms of sockets are sealed. */
export async function deriveMembershipKey(serverKey: ServerKey): Promise<Buffer> {
  return await serverKey.createHmac(Buffer.from('sealed memberships'), {
    protocolID: [2, 'messagebox membership sealing'],
    keyID: '1',
    counterparty: 'self',
  })
}
