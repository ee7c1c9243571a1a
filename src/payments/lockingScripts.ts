/** The locking scripts of payees: keys derived as in BRC-29, with the server's key. */
import { createHash } from 'node:crypto'
import { anyone, type ServerKey } from '../auth/serverKey'
import { ApiError } from '../contract/errors'
import type { IdentityKey } from '../contract/protocol'
import type { PaidOutput } from './payment'

/** The protocol of BRC-29. */
const PROTOCOL = [2, '3241645161d8'] as const

/** The payer and the payee of an output. */
interface Parties {
  /** The sender's key for an output to the server, the key "anyone" for one to a recipient. */
  payer: IdentityKey
  payee: IdentityKey
}

export interface Locks {
  /** The parties of an output to the server, which the authenticated sender pays. */
  toServer: (sender: IdentityKey) => Parties
  /** The parties of an output to a recipient. "anyone" pays it, so a server can derive its key. */
  toRecipient: (recipient: IdentityKey) => Parties
  /**
   * Checks that an output's script pays to the key derived for its payee.
   * @throws ApiError ERR_PAYMENT_NOT_TO_PAYEE if it does not
   */
  check: (output: PaidOutput, script: Buffer, parties: Parties) => Promise<void>
}

export function createLocks(serverKey: ServerKey): Locks {
  return {
    toServer: (sender) => ({ payer: sender, payee: serverKey.identityKey }),
    toRecipient: (recipient) => ({ payer: anyone.identityKey, payee: recipient }),
    async check(
      { outputIndex, derivationPrefix, derivationSuffix, senderIdentityKey },
      script,
      { payer, payee },
    ) {
      const refuse = (reason: string): never => {
        throw new ApiError('ERR_PAYMENT_NOT_TO_PAYEE', `Output ${outputIndex} ${reason}.`)
      }
      // With another key, the payee's wallet does not find the output.
      if (senderIdentityKey !== payer) refuse(`must name ${payer} as its senderIdentityKey`)
      const keyID = `${derivationPrefix} ${derivationSuffix}`
      const name = { protocolID: PROTOCOL, keyID }
      const key =
        payee === serverKey.identityKey
          ? await serverKey.derivePublicKey({ ...name, counterparty: payer }, true)
          : anyone.derivePublicKey({ ...name, counterparty: payee })
      if (!script.equals(payToKey(key)))
        refuse(`is not locked to the key that is derived for ${payee}`)
    },
  }
}

function payToKey(publicKey: Buffer): Buffer {
  const hash = createHash('ripemd160')
    .update(createHash('sha256').update(publicKey).digest())
    .digest()
  return Buffer.concat([Buffer.from([0x76, 0xa9, 0x14]), hash, Buffer.from([0x88, 0xac])])
}
