/** Reads advertisements: PushDrops of an identity key, a host and a signature over both. */
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { anyone } from '../auth/serverKey'
import type { Advertised } from '../db/advertisements'
import { toIdentityKey } from '../contract/primitives'
import { decodePushDrop } from './pushDrop'

/** The protocol that the released clients sign advertisements with. */
const PROTOCOL = [1, 'messagebox advertisement'] as const
const KEY_ID = '1'
const MAX_HOST_BYTES = 255

/** What an output advertises, or why it is not a valid advertisement. */
export type Judged = { advertised: Advertised } | { reason: string }

/** Whether an output has the form of an advertisement. Its signature is not checked. */
export function isCandidate(script: Buffer): boolean {
  return decodePushDrop(script)?.length === 3
}

/** Reads a locking script; undefined if it does not have the form of an advertisement. */
export function judge(script: Buffer): Judged | undefined {
  const fields = decodePushDrop(script)
  if (fields?.length !== 3) return undefined
  const [key, host, signature] = fields as [Buffer, Buffer, Buffer]
  const identityKey = key.length === 33 ? toIdentityKey(key.toString('hex')) : undefined
  if (identityKey === undefined) return { reason: 'its first field is not an identity key' }
  if (!isHost(host))
    return {
      reason:
        `its second field is not an http or https URL of up to ${MAX_HOST_BYTES} bytes ` +
        'without a slash at its end',
    }
  const hash = createHash('sha256').update(key).update(host).digest()
  if (
    !anyone.verifyHash(hash, signature, {
      protocolID: PROTOCOL,
      keyID: KEY_ID,
      counterparty: identityKey,
    })
  ) {
    return { reason: 'its signature is not by the identity key that it names' }
  }
  return { advertised: { identityKey, host: host.toString('utf8') } }
}

const HOST = /^https?:\/\/[^\s/\\?#@\p{C}][^\s\\?#@\p{C}]*$/iu

/** Whether clients can append a path to a URL. */
function isHost(bytes: Buffer): boolean {
  const text = bytes.toString('utf8')
  if (bytes.length > MAX_HOST_BYTES || !isUtf8(bytes) || !HOST.test(text) || !URL.canParse(text))
    return false
  // Clients append a path that begins with a slash.
  const hasPath = /^https?:\/\/[^/]+\//i.test(text)
  return !hasPath || !new URL(text).pathname.endsWith('/')
}
