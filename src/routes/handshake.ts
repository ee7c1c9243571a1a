import { AUTH_VERSION, HANDSHAKE_REQUEST } from '../auth/brc103'
import { exactly, IDENTITY_KEY, listOf } from '../contract/answers'
import { HANDSHAKE_PATH } from '../contract/protocol'
import type { JsonSchema } from '../contract/schema'
import { ALICE, BOB, type Operation } from './route'

const CERTIFICATES = exactly({
  certifiers: { type: 'array', maxItems: 0 },
  types: { type: 'object', maxProperties: 0 },
})
const NONCE: JsonSchema = { type: 'string', minLength: 1 }

export const HANDSHAKE: Operation<unknown> = {
  method: 'post',
  path: HANDSHAKE_PATH,
  id: 'handshake',
  tag: 'Authentication',
  summary: 'Start a session (BRC-103)',
  description:
    'Always at the root of the server. `initialNonce` is the opaque nonce that identifies the ' +
    'session in later requests. The server stores nothing for it. ' +
    'The signature covers both nonces.',
  access: 'handshake',
  atRoot: true,
  body: {
    schema: HANDSHAKE_REQUEST,
    examples: {
      first: {
        version: AUTH_VERSION,
        messageType: 'initialRequest',
        identityKey: ALICE,
        initialNonce: 'ZnJlc2ggcmFuZG9tIGJ5dGVzLCAzMiBvZiB0aGVtLi4=',
      },
    },
  },
  answers: {
    200: {
      description: 'The session is established. `x-bsv-auth-…` headers carry the same fields.',
      schema: exactly({
        version: { const: AUTH_VERSION },
        messageType: { const: 'initialResponse' },
        identityKey: IDENTITY_KEY,
        initialNonce: NONCE,
        yourNonce: NONCE,
        requestedCertificates: CERTIFICATES,
        signature: listOf(
          { type: 'integer', minimum: 0, maximum: 255 },
          { minItems: 1, description: 'DER, as an array of bytes.' },
        ),
      }),
      examples: {
        session: {
          version: AUTH_VERSION,
          messageType: 'initialResponse',
          identityKey: BOB,
          initialNonce: 'dGhlIG5vbmNlIGluIHdoaWNoIHRoZSBzZXNzaW9uIGlzIHNlYWxlZA==',
          yourNonce: 'ZnJlc2ggcmFuZG9tIGJ5dGVzLCAzMiBvZiB0aGVtLi4=',
          requestedCertificates: { certifiers: [], types: {} },
          signature: [48, 6, 2, 1, 1, 2, 1, 1],
        },
      },
    },
  },
  errors: [
    'ERR_INVALID_AUTH_MESSAGE',
    'ERR_CERTIFICATES_NOT_SUPPORTED',
    'ERR_INVALID_JSON',
    'ERR_BODY_TOO_LARGE',
    'ERR_BODY_IN_PIECES',
    'ERR_UNSUPPORTED_ENCODING',
    'ERR_RATE_LIMITED',
    'ERR_SERVER_BUSY',
  ],
  sample: `// The client performs the handshake before its first signed request.
const response = await client.authFetch.fetch(\`\${host}/devices\`, { method: 'GET' })
console.log(response.status)`,
  createHandler: () => (_req, _res, next) => {
    next()
  },
}
