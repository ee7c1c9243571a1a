/**
 * The server's key: BRC-42 key derivation with BRC-43 invoice numbers, ECDSA signatures and HMACs,
 * over libsecp256k1. Its output equals that of the SDK's `ProtoWallet`, byte for byte.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'
import * as secp256k1 from 'secp256k1'
import type { IdentityKey } from '../contract/protocol'
import { BoundedMap } from '../lib/boundedMap'
import { Secret } from '../lib/secret'

/**
 * The party that the derived key is shared with: an identity key, the key itself, or anyone
 * (BRC-43).
 */
export type Counterparty = IdentityKey | 'self' | 'anyone'

/**
 * Names a derived key (BRC-43): a protocol of 5 to 400 letters, digits and single blanks, an id of
 * 1 to 800 characters.
 */
export interface KeyName {
  protocolID: readonly [securityLevel: 0 | 1 | 2, name: string]
  keyID: string
  counterparty: Counterparty
}

/**
 * Derives keys from the server's private key, and signs with them. A method may return a promise,
 * so that a key in another process can be used. `hash` is the SHA-256 of what is signed, 32 bytes;
 * signatures are DER.
 */
export interface ServerKey {
  readonly identityKey: IdentityKey
  signHash: (hash: Buffer, key: KeyName) => Buffer | Promise<Buffer>
  /** Returns false for an invalid signature, also if it is malformed. */
  verifyHash: (hash: Buffer, signature: Buffer, key: KeyName) => boolean | Promise<boolean>
  createHmac: (data: Buffer, key: KeyName) => Buffer | Promise<Buffer>
  /** The counterparty's derived public key, or with `forSelf` the server's own; compressed. */
  derivePublicKey: (key: KeyName, forSelf?: boolean) => Buffer | Promise<Buffer>
}

/**
 * What is cached of a counterparty: its key, uncompressed since that is faster to read, and the
 * shared ECDH secret.
 */
interface Relation {
  publicKey: Uint8Array
  secret: Uint8Array
}

/** How many counterparties are cached, at about 500 bytes each. */
const MAX_KNOWN_COUNTERPARTIES = 10_000

/** The length of a number modulo the order of the curve, such as either half of a signature. */
const SCALAR_BYTES = 32

/** The generator point: the public key of "anyone", with the private key 1. */
const ANYONE = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'

/** Whether secp256k1 uses its C library; its fallback in JavaScript is about ten times slower. */
export const usesNativeSecp256k1 = ((): boolean => {
  try {
    require('secp256k1/bindings')
    return true
  } catch {
    return false
  }
})()

export class NativeServerKey implements ServerKey {
  readonly identityKey: IdentityKey
  readonly #rootKey: Buffer
  readonly #publicKey: Buffer
  /**
   * Least recently used first. Only counterparties with a valid signature are cached, so others
   * cannot evict them.
   */
  readonly #known = new BoundedMap<Counterparty, Relation>(MAX_KNOWN_COUNTERPARTIES)

  constructor(privateKey: Secret) {
    this.#rootKey = Buffer.from(privateKey.reveal(), 'hex')
    this.#publicKey = toBuffer(secp256k1.publicKeyCreate(this.#rootKey, true))
    this.identityKey = this.#publicKey.toString('hex')
  }

  signHash(hash: Buffer, key: KeyName): Buffer {
    const { signature } = secp256k1.ecdsaSign(hash, this.#derivePrivateKey(key))
    return toBuffer(secp256k1.signatureExport(signature))
  }

  /**
   * Verifies under the counterparty's root key instead of its derived key, which saves a
   * multiplication on the curve. With the tweak t, the derived key is P + tG, and a signature
   * (r, s) of z under it is valid if x(zG/s + r(P + tG)/s) = r. The left side is that of a
   * signature of z + rt under P.
   */
  verifyHash(hash: Buffer, signature: Buffer, key: KeyName): boolean {
    const relation = this.#relate(key.counterparty)
    let compact: Uint8Array
    let moved: Uint8Array
    try {
      // libsecp256k1 accepts only the lower of the two possible S; the SDK accepts both.
      compact = secp256k1.signatureNormalize(secp256k1.signatureImport(signature))
      const r = Buffer.from(compact.subarray(0, SCALAR_BYTES))
      moved = secp256k1.privateKeyTweakAdd(
        secp256k1.privateKeyTweakMul(r, tweak(relation, key)),
        hash,
      )
    } catch {
      return false
    }
    if (!secp256k1.ecdsaVerify(compact, moved, relation.publicKey)) return false
    this.#known.set(key.counterparty, relation)
    return true
  }

  createHmac(data: Buffer, key: KeyName): Buffer {
    return createHmac('sha256', this.#deriveSymmetricKey(key)).update(data).digest()
  }

  verifyHmac(data: Buffer, hmac: Buffer, key: KeyName): boolean {
    const expected = this.createHmac(data, key)
    return hmac.length === expected.length && timingSafeEqual(hmac, expected)
  }

  derivePublicKey(key: KeyName, forSelf = false): Buffer {
    if (forSelf) return toBuffer(secp256k1.publicKeyCreate(this.#derivePrivateKey(key), true))
    const relation = this.#relate(key.counterparty)
    return toBuffer(secp256k1.publicKeyTweakAdd(relation.publicKey, tweak(relation, key), true))
  }

  #derivePrivateKey(key: KeyName): Buffer {
    return toBuffer(
      secp256k1.privateKeyTweakAdd(
        Buffer.from(this.#rootKey),
        tweak(this.#relate(key.counterparty), key),
      ),
    )
  }

  #deriveSymmetricKey(key: KeyName): Buffer {
    const point = secp256k1.publicKeyTweakMul(
      this.derivePublicKey(key),
      this.#derivePrivateKey(key),
      true,
    )
    // The key is the x coordinate as a number, without leading zero bytes.
    let start = 1
    while (start < point.length && point[start] === 0) start++
    return toBuffer(point).subarray(start)
  }

  #relate(counterparty: Counterparty): Relation {
    const known = this.#known.get(counterparty)
    if (known !== undefined) return known
    const publicKey = secp256k1.publicKeyConvert(this.#counterpartyKey(counterparty), false)
    return { publicKey, secret: secp256k1.publicKeyTweakMul(publicKey, this.#rootKey, true) }
  }

  #counterpartyKey(counterparty: Counterparty): Buffer {
    if (counterparty === 'self') return this.#publicKey
    return Buffer.from(counterparty === 'anyone' ? ANYONE : counterparty, 'hex')
  }

  /** Keeps the private key out of logs. */
  toJSON(): { identityKey: IdentityKey } {
    return { identityKey: this.identityKey }
  }

  [inspect.custom](): string {
    return `NativeServerKey(${this.identityKey})`
  }
}

/** The key of "anyone" (BRC-43); the private key is 1. */
export const anyone = new NativeServerKey(new Secret('1'.padStart(64, '0')))

/**
 * The key that seals a kind of data for clients: the same on every node and after every restart.
 */
export async function deriveSealingKey(
  serverKey: ServerKey,
  kind: 'session' | 'membership' | 'cursor',
): Promise<Buffer> {
  return await serverKey.createHmac(Buffer.from(`sealed ${kind}s`), {
    protocolID: [2, `messagebox ${kind} sealing`],
    keyID: '1',
    counterparty: 'self',
  })
}

/**
 * BRC-43's invoice number, `level-name-keyID`.
 * @throws Error if the level, the name or the id is invalid
 */
export function invoiceNumber({ protocolID: [level, name], keyID }: KeyName): string {
  const normalized = name.toLowerCase().trim()
  if (![0, 1, 2].includes(level)) throw new Error('The security level must be 0, 1 or 2')
  if (keyID.length < 1 || keyID.length > 800) throw new Error('A key id has 1 to 800 characters')
  const longest = normalized.startsWith('specific linkage revelation ') ? 430 : 400
  if (normalized.length < 5 || normalized.length > longest)
    throw new Error(`A protocol name has 5 to ${longest} characters`)
  if (!/^[a-z0-9]+( [a-z0-9]+)*$/.test(normalized) || normalized.endsWith(' protocol')) {
    throw new Error(
      'A protocol name has letters, digits and single blanks, and does not end in " protocol"',
    )
  }
  return `${level}-${normalized}-${keyID}`
}

/**
 * BRC-42's HMAC of the invoice number under the shared secret, which is added to the root keys of
 * both sides.
 */
function tweak({ secret }: Relation, key: KeyName): Buffer {
  return createHmac('sha256', secret).update(invoiceNumber(key), 'utf8').digest()
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
