/** The SDK ProtoWallet as the server key: the same protocol, with cryptography in JavaScript. */
import { PrivateKey, ProtoWallet, type WalletProtocol } from '@bsv/sdk'
import type { ServerKey, KeyName } from '../src/auth/serverKey'

export function protoWallet(privateKey: string): ServerKey {
  const key = PrivateKey.fromString(privateKey, 'hex')
  const wallet = new ProtoWallet(key)
  const named = ({
    protocolID,
    ...name
  }: KeyName): { protocolID: WalletProtocol; keyID: string; counterparty: string } => ({
    ...name,
    protocolID: [...protocolID],
  })
  return {
    identityKey: key.toPublicKey().toString(),
    async signHash(hash, name) {
      return Buffer.from(
        (await wallet.createSignature({ ...named(name), hashToDirectlySign: [...hash] })).signature,
      )
    },
    async verifyHash(hash, signature, name) {
      // It throws if the signature is invalid.
      return await wallet
        .verifySignature({
          ...named(name),
          hashToDirectlyVerify: [...hash],
          signature: [...signature],
        })
        .then(
          ({ valid }) => valid,
          () => false,
        )
    },
    async createHmac(data, name) {
      return Buffer.from((await wallet.createHmac({ ...named(name), data: [...data] })).hmac)
    },
    async derivePublicKey(name, forSelf = false) {
      return Buffer.from((await wallet.getPublicKey({ ...named(name), forSelf })).publicKey, 'hex')
    },
  }
}
