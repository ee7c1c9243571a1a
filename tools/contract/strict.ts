/** What the newest clients demand of everything that a server sends; earlier clients look at less. */
import assert from 'node:assert/strict'

const KEY = /^0[23][0-9a-f]{64}$/
const MAX_SIGNATURE_BYTES = 1024
/** Of the payload of an event: at a larger one these clients disconnect for good. */
const MAX_EVENT_BYTES = 1024 * 1024
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

const HANDSHAKE_NONCE_BYTES = 48
const MESSAGE_NONCE_BYTES = 32

export interface StrictFrame {
  version?: unknown
  messageType?: unknown
  identityKey?: unknown
  initialNonce?: unknown
  nonce?: unknown
  yourNonce?: unknown
  requestedCertificates?: unknown
  payload?: number[]
  signature?: unknown
}

/**
 * Looks at a message of BRC-103 that a server has sent.
 * @throws AssertionError if a newest client would refuse it
 */
export function assertStrict(frame: StrictFrame): void {
  assert.equal(frame.version, '0.1')
  assert.match(String(frame.identityKey), KEY)
  if (frame.messageType === 'general') {
    assertNonce(frame.nonce, MESSAGE_NONCE_BYTES)
    assertNonce(frame.yourNonce, HANDSHAKE_NONCE_BYTES)
    assertSignature(frame.signature)
    assert.ok(
      (frame.payload?.length ?? 0) <= MAX_EVENT_BYTES,
      `an event of ${frame.payload?.length ?? 0} bytes`,
    )
    return
  }
  assert.ok(
    frame.messageType === 'initialRequest' || frame.messageType === 'initialResponse',
    `message type ${String(frame.messageType)}`,
  )
  assertNonce(frame.initialNonce, HANDSHAKE_NONCE_BYTES)
  assert.equal(JSON.stringify(frame.requestedCertificates), '{"certifiers":[],"types":{}}')
  if (frame.messageType === 'initialRequest') return
  assertNonce(frame.yourNonce, HANDSHAKE_NONCE_BYTES)
  assertSignature(frame.signature)
}

/**
 * Looks at the answer to a signed request, if it is signed.
 * @throws AssertionError if a newest client would refuse it
 */
export function assertStrictAnswer({ headers }: Response, body: Buffer): void {
  assert.ok(body.length <= MAX_ANSWER_BYTES, `an answer of ${body.length} bytes`)
  const header = (name: string): string | null => headers.get(`x-bsv-auth-${name}`)
  if (header('signature') === null) return
  assertStrict({
    version: header('version'),
    messageType: 'general',
    identityKey: header('identity-key'),
    nonce: header('nonce'),
    yourNonce: header('your-nonce'),
    signature: [...Buffer.from(header('signature')!, 'hex')],
  })
}

/** A text of so many bytes in the one spelling that base64 has for them. */
function assertNonce(nonce: unknown, bytes: number): void {
  const decoded = Buffer.from(String(nonce), 'base64')
  assert.equal(decoded.length, bytes)
  assert.equal(decoded.toString('base64'), nonce)
}

function assertSignature(signature: unknown): void {
  assert.ok(
    Array.isArray(signature) && signature.length > 0 && signature.length <= MAX_SIGNATURE_BYTES,
    'a signature of 1 to 1,024 bytes',
  )
  assert.ok(
    signature.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255),
    'a signature of bytes',
  )
}
