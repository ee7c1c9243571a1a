/** What an output has to be to be an advertisement: a PushDrop of an identity key, a host and a signature over both. */
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { anyone } from '../auth/serverKey'
import type { Advertised } from '../db/advertisements'
import { toIdentityKey } from '../contract/primitives'
import { decodePushDrop } from './pushDrop'

/** As the released clients sign. */
const PROTOCOL = [1, 'messagebox advertisement'] as const
const KEY_ID = '1'
/** Longest host, in bytes. */
const MAX_HOST = 255

/** What an output advertises, or why it does not though it looks as if it were to. */
export type Judged = { advertised: Advertised } | { reason: string }

/** Whether an output looks like an advertisement; whether it is one takes a signature to tell. */
export function isCandidate(script: Buffer): boolean {
  return decodePushDrop(script)?.length === 3
}

/** Judges a locking script; undefined where it does not look like an advertisement. */
export function judge(script: Buffer): Judged | undefined {
  const fields = decodePushDrop(script)
  if (fields?.length !== 3) return undefined
  const [key, host, signature] = fields as [Buffer, Buffer, Buffer]
  const identityKey = key.length === 33 ? toIdentityKey(key.toString('hex')) : undefined
  if (identityKey === undefined) return { reason: 'its first field is no identity key' }
  if (!isHost(host))
    return {
      reason: `its second field is no http or https URL of up to ${MAX_HOST} bytes without a slash at its end`,
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

/** A URL that clients can put a path behind. */
function isHost(bytes: Buffer): boolean {
  const text = bytes.toString('utf8')
  if (bytes.length > MAX_HOST || !isUtf8(bytes) || !HOST.test(text) || !URL.canParse(text))
    return false
  // Clients put a path behind it, with a slash of its own.
  const hasPath = /^https?:\/\/[^/]+\//i.test(text)
  return !hasPath || !new URL(text).pathname.endsWith('/')
}
