/**
 * Sealed sessions: the nonce that a handshake returns carries the session itself, under an HMAC that only
 * this server's key can make. Nothing is stored, so nothing can be flooded, evicted or lost in a restart, and
 * every node that has the key knows every session.
 *
 * Layout: random (16 to 18 bytes, so that the whole is a multiple of three: the released client decodes two
 * base64 nonces joined to one string), time (6), identity key (33), client nonce (UTF-8), its length (2), HMAC (32).
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IdentityKey } from '../protocol'
import type { AuthWallet } from './wallet'

export interface Session {
  /** The identity that the handshake named, and that every message of the session must be signed by. */
  identityKey: IdentityKey
  /** The client's nonce of the handshake; what the server signs names it. */
  clientNonce: string
  /** The server's nonce, sealed: it names the session. */
  serverNonce: string
}

/** Longest client nonce in characters: with it, no key id grows beyond BRC-43's 800 characters. */
export const MAX_CLIENT_NONCE = 256

const MIN_RANDOM = 16
const TIME = 6
const KEY = 33
const LENGTH = 2
const MAC = 32
const FIXED = MIN_RANDOM + TIME + KEY + LENGTH + MAC

export class SessionSealer {
  readonly #secret: Buffer
  readonly #ttl: number

  /**
   * @param secret the sealing key, 32 bytes; see `deriveSealingKey`
   * @param ttl how long a session is honoured, in milliseconds
   */
  constructor (secret: Buffer, ttl: number) {
    this.#secret = secret
    this.#ttl = ttl
  }

  /** Makes the session of an identity and its nonce (at most `MAX_CLIENT_NONCE` characters). */
  seal (identityKey: IdentityKey, clientNonce: string): Session {
    const nonce = Buffer.from(clientNonce, 'utf8')
    const padding = (3 - (FIXED + nonce.length) % 3) % 3
    const time = Buffer.alloc(TIME)
    time.writeUIntBE(Date.now(), 0, TIME)
    const length = Buffer.alloc(LENGTH)
    length.writeUInt16BE(nonce.length)
    const sealed = Buffer.concat([randomBytes(MIN_RANDOM + padding), time, Buffer.from(identityKey, 'hex'), nonce, length])
    return { identityKey, clientNonce, serverNonce: Buffer.concat([sealed, this.#mac(sealed)]).toString('base64') }
  }

  /** The session that a nonce holds; undefined where it is altered, expired, or sealed under another key. */
  open (serverNonce: string): Session | undefined {
    const bytes = Buffer.from(serverNonce, 'base64')
    // Base64 has several spellings of the same bytes; only the one we gave out names the session.
    if (bytes.length < FIXED || bytes.toString('base64') !== serverNonce) return undefined
    const sealed = bytes.subarray(0, -MAC)
    if (!timingSafeEqual(bytes.subarray(-MAC), this.#mac(sealed))) return undefined
    const nonceEnd = sealed.length - LENGTH
    const nonceStart = nonceEnd - sealed.readUInt16BE(nonceEnd)
    const keyStart = nonceStart - KEY
    if (Date.now() - sealed.readUIntBE(keyStart - TIME, TIME) > this.#ttl) return undefined
    return {
      identityKey: sealed.toString('hex', keyStart, nonceStart),
      clientNonce: sealed.toString('utf8', nonceStart, nonceEnd),
      serverNonce
    }
  }

  #mac (sealed: Buffer): Buffer {
    return createHmac('sha256', this.#secret).update(sealed).digest()
  }
}

/** The key under which a server's sessions are sealed: the same on every node and after every restart. */
export async function deriveSealingKey (wallet: AuthWallet): Promise<Buffer> {
  return await wallet.createHmac(Buffer.from('sealed sessions'), {
    protocolID: [2, 'messagebox session sealing'],
    keyID: '1',
    counterparty: 'self'
  })
}

/** The key under which the rooms of sockets are sealed. */
export async function deriveMembershipKey (wallet: AuthWallet): Promise<Buffer> {
  return await wallet.createHmac(Buffer.from('sealed memberships'), {
    protocolID: [2, 'messagebox membership sealing'],
    keyID: '1',
    counterparty: 'self'
  })
}
