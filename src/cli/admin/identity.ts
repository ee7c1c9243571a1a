import { NativeServerKey, usesNativeSecp256k1 } from '../../auth/serverKey'
import { readConfig } from '../environment'
import { UsageError } from '../failure'
import { table } from '../wording'
import type { Outcome } from './command'

export function identity(): Outcome {
  const { auth, network, http } = readConfig()
  if (auth.privateKey === undefined) {
    throw new UsageError(
      'SERVER_PRIVATE_KEY is not set: each start of the server makes a new identity. ' +
        'Make a key with "keygen".',
    )
  }
  const { identityKey } = new NativeServerKey(auth.privateKey)
  const cryptography = usesNativeSecp256k1 ? 'native' : 'javascript'
  const hostingDomain = http.hostingDomain ?? null
  return {
    json: { identityKey, network, hostingDomain, cryptography },
    text: table([
      ['identity key', identityKey],
      ['network', network],
      ['address', hostingDomain ?? 'HOSTING_DOMAIN is not set'],
      [
        'secp256k1',
        usesNativeSecp256k1
          ? 'native'
          : 'in JavaScript, about ten times slower: there is no native build for this platform',
      ],
    ]),
  }
}
