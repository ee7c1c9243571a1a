import { randomBytes } from 'node:crypto'
import { NativeServerKey } from '../../auth/serverKey'
import { Secret } from '../../lib/secret'
import type { Outcome } from './command'

/** A fresh SERVER_PRIVATE_KEY, ready for .env, and the identity key that belongs to it. */
export function keygen(): Outcome {
  const privateKey = randomBytes(32).toString('hex')
  const { identityKey } = new NativeServerKey(new Secret(privateKey))
  return {
    json: { identityKey, privateKey },
    text: `# identity key: ${identityKey}\nSERVER_PRIVATE_KEY=${privateKey}`,
  }
}
