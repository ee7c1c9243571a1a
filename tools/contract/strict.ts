/** The checks that the newest clients make on messages of a server. Earlier clients make fewer. */
import assert from 'node:assert/strict'

const KEY = /^0[23][0-9a-f]{64}$/
const MAX_SIGNATURE_BYTES = 1024
/** Of the payload of an event. These clients disconnect for good at a larger one. */
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
 * Checks a BRC-103 message of a server.
 * @throws AssertionError if the newest clients reject it
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
 * Checks the answer to a signed request, if the answer is signed.
 * @throws AssertionError if the newest clients reject it
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

/** A nonce must be canonical base64 of this many bytes. */
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
