/** To whom an output belongs: BRC-29's keys, over the native serverKey. */
import { createHash } from 'node:crypto'
import { anyone, type ServerKey } from '../auth/serverKey'
import { ApiError } from '../contract/errors'
import type { IdentityKey } from '../contract/protocol'
import type { PaidOutput } from './payment'

/** BRC-29's protocol. */
const PROTOCOL = [2, '3241645161d8'] as const

/** Who pays whom by an output. */
interface Parties {
  /** As the output is derived: the sender's own key for the server, anyone's for a recipient. */
  payer: IdentityKey
  payee: IdentityKey
}

export interface Locks {
  /** The parties of an output for the server, which its proven sender pays. */
  toServer: (sender: IdentityKey) => Parties
  /** The parties of an output for a recipient, which anyone pays: so a server can derive its key as well. */
  toRecipient: (recipient: IdentityKey) => Parties
  /**
   * Whether an output's script pays to the key that is derived for its payee.
   * @throws ApiError ERR_PAYMENT_NOT_TO_PAYEE where it does not
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
      // By another key than it was locked with, its payee's wallet would never find it.
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

/** The locking script of P2PKH for a public key. */
function payToKey(publicKey: Buffer): Buffer {
  const hash = createHash('ripemd160')
    .update(createHash('sha256').update(publicKey).digest())
    .digest()
  return Buffer.concat([Buffer.from([0x76, 0xa9, 0x14]), hash, Buffer.from([0x88, 0xac])])
}
