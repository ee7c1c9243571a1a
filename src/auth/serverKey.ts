/**
 * The server's key: BRC-42 key derivation with BRC-43 invoice numbers, ECDSA signatures and HMACs, over libsecp256k1.
 * Its output equals that of the SDK's `ProtoWallet`, byte for byte.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'
import * as secp256k1 from 'secp256k1'
import type { IdentityKey } from '../contract/protocol'
import { Secret } from '../lib/secret'

/** Whose key the derived key is shared with: an identity key, oneself, or everybody (BRC-43). */
export type Counterparty = IdentityKey | 'self' | 'anyone'

/** BRC-43: which key to derive. The name has 5 to 400 letters, digits and single blanks, the id 1 to 800 characters. */
export interface KeyName {
  protocolID: readonly [securityLevel: 0 | 1 | 2, name: string]
  keyID: string
  counterparty: Counterparty
}

/**
 * Derives keys from the server's private key, and signs with them. A method may return a promise, so that a key in
 * another process can be used. `hash` is the SHA-256 of what is signed, 32 bytes; signatures are DER.
 */
export interface ServerKey {
  readonly identityKey: IdentityKey
  signHash: (hash: Buffer, key: KeyName) => Buffer | Promise<Buffer>
  /** False for any signature that does not hold, malformed ones included. */
  verifyHash: (hash: Buffer, signature: Buffer, key: KeyName) => boolean | Promise<boolean>
  createHmac: (data: Buffer, key: KeyName) => Buffer | Promise<Buffer>
  /** The counterparty's derived public key, or with `forSelf` our own, compressed. */
  derivePublicKey: (key: KeyName, forSelf?: boolean) => Buffer | Promise<Buffer>
}

/** What is kept of a counterparty: its key, uncompressed since that is read faster, and the ECDH secret shared with it. */
interface Relation {
  publicKey: Uint8Array
  secret: Uint8Array
}

/** How many counterparties are kept, at about 500 bytes each. */
const KNOWN_COUNTERPARTIES = 10_000

/** The generator point: the public key of "anyone", whose private key is 1. */
const ANYONE = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'

/** Whether secp256k1's own C library does the work, or its far slower fallback in JavaScript. */
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
  /** Least recently used first. Only counterparties that have proven themselves are kept, so strangers evict nobody. */
  readonly #known = new Map<Counterparty, Relation>()

  constructor(privateKey: Secret) {
    this.#rootKey = Buffer.from(privateKey.reveal(), 'hex')
    this.#publicKey = toBuffer(secp256k1.publicKeyCreate(this.#rootKey, true))
    this.identityKey = this.#publicKey.toString('hex')
  }

  signHash(hash: Buffer, key: KeyName): Buffer {
    const { signature } = secp256k1.ecdsaSign(hash, this.#derivePrivateKey(key))
    return toBuffer(secp256k1.signatureExport(signature))
  }

  verifyHash(hash: Buffer, signature: Buffer, key: KeyName): boolean {
    let publicKey: Uint8Array
    let compact: Uint8Array
    const relation = this.#relate(key.counterparty)
    try {
      publicKey = secp256k1.publicKeyTweakAdd(relation.publicKey, tweak(relation, key), false)
      // libsecp256k1 verifies the lower of the two possible S alone; the SDK's verification takes both.
      compact = secp256k1.signatureNormalize(secp256k1.signatureImport(signature))
    } catch {
      return false
    }
    if (!secp256k1.ecdsaVerify(compact, hash, publicKey)) return false
    this.#remember(key.counterparty, relation)
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
    // The key is the x coordinate as a number: leading zero bytes do not belong to it.
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

  #remember(counterparty: Counterparty, relation: Relation): void {
    this.#known.delete(counterparty)
    this.#known.set(counterparty, relation)
    if (this.#known.size > KNOWN_COUNTERPARTIES)
      this.#known.delete(this.#known.keys().next().value!)
  }

  #counterpartyKey(counterparty: Counterparty): Buffer {
    if (counterparty === 'self') return this.#publicKey
    return Buffer.from(counterparty === 'anyone' ? ANYONE : counterparty, 'hex')
  }

  /** Shown by logs and inspectors in place of the object: never the private key. */
  toJSON(): { identityKey: IdentityKey } {
    return { identityKey: this.identityKey }
  }

  [inspect.custom](): string {
    return `NativeServerKey(${this.identityKey})`
  }
}

/** The key of "anyone", whose private key is 1 (BRC-43). */
export const anyone = new NativeServerKey(new Secret('1'.padStart(64, '0')))

/**
 * BRC-43's invoice number, `level-name-keyID`.
 * @throws Error where level, name or id break the BRC's rules.
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

/** BRC-42's HMAC of the invoice number under the shared secret: what is added to both sides' root keys. */
function tweak({ secret }: Relation, key: KeyName): Buffer {
  return createHmac('sha256', secret).update(invoiceNumber(key), 'utf8').digest()
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
