import { AUTH_VERSION, HANDSHAKE_REQUEST } from '../auth/brc103'
import { HANDSHAKE_PATH } from '../contract/protocol'
import { fieldsOf, type JsonSchema } from '../contract/schema'
import {
  COUNT,
  exactly,
  FLAG,
  IDENTITY_KEY,
  listOf,
  nullable,
  SATOSHIS,
  STRING,
  success,
} from './answers'
import { ALICE, BOB, type OperationDescription } from './operation'

const CERTIFICATES = exactly({
  certifiers: { type: 'array', maxItems: 0 },
  types: { type: 'object', maxProperties: 0 },
})
const NONCE: JsonSchema = { type: 'string', minLength: 1 }
const QUOTA = exactly({ messages: nullable(COUNT), bytes: nullable(COUNT) })

const INFO = exactly({
  name: STRING,
  version: STRING,
  identityKey: IDENTITY_KEY,
  network: { enum: ['main', 'test', 'local'] },
  hostingDomain: nullable(STRING),
  limits: exactly({
    bodyBytes: COUNT,
    liveBodyBytes: COUNT,
    liveEventBytes: COUNT,
    recipients: COUNT,
    messageIdCharacters: COUNT,
    messageBoxCharacters: COUNT,
    acknowledgedIds: COUNT,
    page: exactly({ messages: COUNT, bytes: COUNT }),
    rates: {
      ...exactly({ address: nullable(COUNT), identity: nullable(COUNT) }),
      description: 'Requests a minute. A large one counts as several.',
    },
    concurrentRequests: nullable(COUNT),
    connections: {
      ...exactly({ address: nullable(COUNT) }),
      description: 'TCP connections of one address.',
    },
    sockets: {
      ...exactly({ address: nullable(COUNT), identity: nullable(COUNT) }),
      description: 'Live sockets of one address and of one identity.',
    },
    verificationSeconds: {
      ...nullable(COUNT),
      description: 'Seconds a minute that transactions of one address may take to verify.',
    },
    memory: {
      ...exactly({ incoming: COUNT, outgoing: COUNT }),
      description:
        'Bytes that requests and unread answers may take. One address or identity may use a quarter, or what the largest body or answer takes.',
    },
    rules: { ...nullable(COUNT), description: 'Rules of permissions that one identity may have.' },
    quotas: exactly({ inbox: QUOTA, sender: QUOTA }),
    retentionDays: nullable({ type: 'number' }),
  }),
  deliveryFees: {
    type: 'object',
    additionalProperties: SATOSHIS,
    description: 'What a delivery costs, by the names of boxes.',
  },
  features: { type: 'object', additionalProperties: FLAG },
  advertising: {
    ...nullable(
      exactly({
        host: STRING,
        topics: listOf(STRING),
        checkedAt: nullable(STRING),
        fault: nullable(STRING),
      }),
    ),
    description:
      "How the server's own advertisements are: where, under which topics, when that was last looked at, and what stands in the way; null where it has none.",
  },
})

const document = (
  path: string,
  id: string,
  summary: string,
  field: string,
  example: object,
): OperationDescription => ({
  method: 'get',
  path,
  id,
  tag: 'Server',
  summary,
  description:
    'With an ETag: asked again with `if-none-match`, it answers 304 where nothing has changed.',
  open: true,
  answers: {
    200: {
      description: 'The document.',
      schema: { type: 'object', required: [field], properties: { [field]: STRING } },
      examples: { beginning: example },
    },
    304: { description: 'It is what the client has already.' },
  },
  errors: ['ERR_RATE_LIMITED'],
  sample: `const response = await fetch(\`\${host}${path}\`)
console.log((await response.json()).info.title)`,
})

export const AUTHENTICATION: OperationDescription[] = [
  {
    method: 'post',
    path: HANDSHAKE_PATH,
    id: 'handshake',
    tag: 'Authentication',
    summary: 'Start a session (BRC-103)',
    description:
      "Always at the root of the server. The server's nonce, in `initialNonce`, names the session from then on; it is opaque, and needs nothing to be kept on the server. The signature covers both nonces.",
    open: true,
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
        description: 'The session has begun. The same fields stand in `x-bsv-auth-…` headers.',
        schema: exactly({
          version: { const: AUTH_VERSION },
          messageType: { const: 'initialResponse' },
          identityKey: IDENTITY_KEY,
          initialNonce: NONCE,
          yourNonce: NONCE,
          requestedCertificates: CERTIFICATES,
          signature: listOf(
            { type: 'integer', minimum: 0, maximum: 255 },
            { minItems: 1, description: 'DER, as numbers.' },
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
    sample: `// The client shakes hands by itself, before its first signed request.
const response = await client.authFetch.fetch(\`\${host}/devices\`, { method: 'GET' })
console.log(response.status)`,
  },
]

export const SERVER: OperationDescription[] = [
  {
    method: 'get',
    path: '/health',
    id: 'health',
    tag: 'Server',
    summary: 'Whether the process is up',
    description:
      'Asks nothing of the database. It has a rate of its own, ten times that of other requests. `/healthz` and `/health/live` are the same.',
    open: true,
    answers: {
      200: {
        description: 'It is.',
        schema: exactly({ status: { const: 'ok' } }),
        examples: { up: { status: 'ok' } },
      },
    },
    errors: [],
    sample: 'console.log(await (await fetch(`${host}/health`)).json())',
  },
  {
    method: 'get',
    path: '/ready',
    id: 'ready',
    tag: 'Server',
    summary: 'Whether the server can do its work',
    description:
      'It can while the database answers and its schema is up to date, and until it is told to stop. Without its Redis it is degraded, and goes on alone. `/readyz` and `/health/ready` are the same.',
    open: true,
    answers: {
      200: {
        description: 'It can. `redis` is told where there is one.',
        schema: exactly(
          { status: { enum: ['ready', 'degraded'] }, redis: { enum: ['ok', 'away'] } },
          ['redis'],
        ),
        examples: { ready: { status: 'ready' }, alone: { status: 'degraded', redis: 'away' } },
      },
    },
    errors: ['ERR_STOPPING', 'ERR_UNAVAILABLE', 'ERR_SCHEMA_OUTDATED'],
    sample: 'console.log(await (await fetch(`${host}/ready`)).json())',
  },
  {
    method: 'get',
    path: '/info',
    id: 'info',
    tag: 'Server',
    summary: 'Name, version, identity key, network, limits and features',
    description: 'For anybody. A limit that is off is null.',
    open: true,
    answers: {
      200: {
        description: 'What the server is.',
        schema: INFO,
        examples: {
          usual: {
            name: 'messagebox-server',
            version: '0.1.0',
            identityKey: BOB,
            network: 'main',
            hostingDomain: 'https://box.example.com',
            limits: {
              bodyBytes: 10485760,
              liveBodyBytes: 1048576,
              liveEventBytes: 1048576,
              recipients: 100,
              messageIdCharacters: 255,
              messageBoxCharacters: 255,
              acknowledgedIds: 1000,
              page: { messages: 1000, bytes: 4194304 },
              rates: { address: 1200, identity: 3000 },
              concurrentRequests: 500,
              connections: { address: 4000 },
              sockets: { address: 2000, identity: 50 },
              verificationSeconds: 20,
              memory: { incoming: 134217728, outgoing: 134217728 },
              rules: 10000,
              quotas: {
                inbox: { messages: 10000, bytes: 1073741824 },
                sender: { messages: 10000, bytes: 1073741824 },
              },
              retentionDays: null,
            },
            deliveryFees: { notifications: 10 },
            features: { live: true, payments: true, manyNodes: false, push: false },
            advertising: null,
          },
        },
      },
    },
    errors: ['ERR_RATE_LIMITED'],
    sample: `const { identityKey, limits } = await (await fetch(\`\${host}/info\`)).json()
console.log(identityKey, limits)`,
  },
  {
    method: 'post',
    path: '/migrate',
    id: 'migrate',
    tag: 'Server',
    summary: 'Bring the schema up to date',
    description:
      'For whoever has `MIGRATE_KEY`, and only where that is set: else there is nothing at this path. Ten attempts a minute from one address.',
    open: true,
    body: {
      schema: fieldsOf(
        { migratekey: { json: { type: 'string', description: 'The value of `MIGRATE_KEY`.' } } },
        ['migratekey'],
      ),
      examples: { key: { migratekey: "the operator's key" } },
    },
    answers: {
      200: {
        description: 'The schema is up to date.',
        schema: success({
          result: {
            type: 'array',
            prefixItems: [COUNT, listOf(STRING)],
            minItems: 2,
            maxItems: 2,
            description: 'The number of the batch, and the names of the migrations that ran now.',
          },
        }),
        examples: { nothing: { status: 'success', result: [1, []] } },
      },
    },
    errors: [
      'ERR_UNAUTHORIZED',
      'ERR_INVALID_JSON',
      'ERR_BODY_TOO_LARGE',
      'ERR_RATE_LIMITED',
      'ERR_MIGRATION_FAILED',
      'ERR_NOT_FOUND',
    ],
    sample: `const response = await fetch(\`\${host}/migrate\`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ migratekey: process.env.MIGRATE_KEY })
})
console.log(await response.json())`,
  },
  document('/openapi.json', 'openapi', 'This document (OpenAPI 3.1)', 'openapi', {
    openapi: '3.1.0',
  }),
  document('/asyncapi.json', 'asyncapi', 'The events of the socket (AsyncAPI 3)', 'asyncapi', {
    asyncapi: '3.0.0',
  }),
]
