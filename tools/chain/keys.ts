/** What the SDK takes milliseconds to derive from a private key is derived once for each. */
import { ProtoWallet, type PrivateKey, type PublicKey } from '@bsv/sdk'

function once<T>(derive: (key: PrivateKey) => T): (key: PrivateKey) => T {
  const known = new WeakMap<PrivateKey, T>()
  return (key) => {
    const derived = known.get(key) ?? derive(key)
    known.set(key, derived)
    return derived
  }
}

export const publicKeyOf = once<PublicKey>((key) => key.toPublicKey())

export const protoWalletOf = once((key) => new ProtoWallet(key))
