/** The OpenAPI 3.1 document, created from the declarations of the routes and their schemas. */
import { AUTH_HEADERS } from '../auth/brc104'
import { formatNumber } from '../lib/format'
import { PAYMENT } from '../payments/payment'
import { boxName, messageId, publicKey, type JsonSchema } from '../contract/schema'
import { IDENTITY_KEY, TIME } from '../contract/answers'
import { parseConfig } from '../config'
import { OPERATOR_ROUTES } from '../operator'
import { describeServer } from '../operator/info'
import { OVERLAY_ROUTES } from '../overlay/routes'
import { IDENTITY_ROUTES } from '../routes'
import { HANDSHAKE } from '../routes/handshake'
import { TAGS, type Answer, type OperationDescription } from '../routes/route'
import { DOCUMENT_ROUTES } from '.'
import { codesOf, errorComponents, errorResponse, errorResponses, NO_OPERATION } from './errors'
import { PRELUDE, SAMPLE_HOST } from './samples'
import { AUTHENTICATION_TEXT, AUTH_HEADER_TEXTS, introduce, type DocumentedInfo } from './texts'

export const OPERATIONS: readonly OperationDescription[] = [
  ...IDENTITY_ROUTES,
  ...OVERLAY_ROUTES,
  HANDSHAKE,
  ...OPERATOR_ROUTES,
  ...DOCUMENT_ROUTES,
]

/** The parts of a server's configuration that the document depends on. */
export interface DocumentParts {
  info: DocumentedInfo
  /** The routing prefix: '' or '/api'. */
  prefix: string
}

/** Schemas used in many places. The document replaces each of these objects with a reference. */
const NAMED = {
  IdentityKey: IDENTITY_KEY,
  PublicKey: publicKey.json,
  BoxName: boxName.json,
  MessageId: messageId.json,
  Payment: PAYMENT,
  Time: TIME,
}

/** The parts of the document that the pages render. */
export interface OpenApiDocument {
  openapi: string
  info: { title: string; version: string; description: string }
  servers: Array<{ url: string }>
  paths: Record<string, Record<string, unknown>>
  components: { schemas: Record<string, JsonSchema>; [kind: string]: Record<string, unknown> }
  [part: string]: unknown
}

export function createDocument({ info, prefix }: DocumentParts): OpenApiDocument {
  const base = info.hostingDomain?.replace(/\/+$/, '') ?? ''
  const root = base === '' ? '/' : new URL(base).origin
  const host = `${base === '' ? SAMPLE_HOST : base}${prefix}`
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of OPERATIONS) {
    const item = (paths[operation.path] ??=
      operation.atRoot === true ? { servers: [{ url: root }] } : {})
    item[operation.method] = toOperation(operation, info, host)
  }
  const errors = errorComponents([...new Set([...OPERATIONS.flatMap(codesOf), ...NO_OPERATION])])
  return {
    openapi: '3.1.0',
    info: { title: 'MessageBox server', version: info.version, description: introduce(info) },
    servers: [{ url: `${base}${prefix}` === '' ? '/' : `${base}${prefix}` }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: refer(paths) as OpenApiDocument['paths'],
    components: {
      schemas: {
        ...Object.fromEntries(
          Object.entries(NAMED).map(([name, schema]) => [name, refer(schema, schema)]),
        ),
        ...(refer(errors.schemas) as object),
      } as Record<string, JsonSchema>,
      examples: errors.examples,
      responses: refer({
        NotFound: errorResponse([NO_OPERATION[0]]),
        MethodNotAllowed: errorResponse([NO_OPERATION[1]]),
      }) as Record<string, unknown>,
      headers: HEADERS,
      parameters: Object.fromEntries(
        SENT_HEADERS.map((name) => [
          AUTH_HEADERS[name],
          {
            name: AUTH_HEADERS[name],
            in: 'header',
            required: true,
            description: AUTH_HEADER_TEXTS[name],
            schema: { type: 'string' },
          },
        ]),
      ),
      securitySchemes: {
        brc104: {
          type: 'apiKey',
          in: 'header',
          name: AUTH_HEADERS.signature,
          description: AUTHENTICATION_TEXT,
        },
      },
    },
  }
}

/** The document of a server with default settings. It is the same on every machine. */
export function defaultDocument(): OpenApiDocument {
  const config = parseConfig({})
  return createDocument({ info: describeServer(config, ''), prefix: config.http.prefix })
}

const JSON_TYPE = 'application/json'

const SENT_HEADERS = [
  'version',
  'identityKey',
  'nonce',
  'yourNonce',
  'requestId',
  'signature',
] as const

const HEADERS = {
  RequestId: {
    description: 'The id under which the server logged the request.',
    schema: { type: 'string' },
  },
  RetryAfter: {
    description: 'The number of seconds to wait before the next request.',
    schema: { type: 'integer', minimum: 0 },
  },
  Signature: {
    description:
      "The server's signature of the response, in hex. The security scheme describes it and the " +
      'other x-bsv-auth headers, which the response also has.',
    schema: { type: 'string' },
  },
}

function toOperation(
  operation: OperationDescription,
  { limits }: DocumentParts['info'],
  host: string,
): object {
  const {
    id,
    tag,
    summary,
    description,
    access,
    body,
    headers = {},
    query,
    answers,
    sample,
  } = operation
  const open = access !== 'identity'
  const queried = query === undefined ? [] : toParameters(query.schema, query.examples)
  const own = Object.entries(headers).map(([name, header]) => ({ name, in: 'header', ...header }))
  const parameters = [
    ...queried,
    ...own,
    ...(open
      ? []
      : SENT_HEADERS.map((name) => ({ $ref: `#/components/parameters/${AUTH_HEADERS[name]}` }))),
  ]
  const content =
    body === undefined
      ? undefined
      : { [body.type ?? JSON_TYPE]: { schema: body.schema, examples: toExamples(body.examples) } }
  return {
    operationId: id,
    tags: [tag],
    summary,
    description,
    security: open ? [] : [{ brc104: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(content !== undefined && {
      requestBody: {
        required: true,
        description:
          body?.limit ??
          (open ? 'Up to a few kilobytes.' : `Up to ${formatNumber(limits.bodyBytes)} bytes.`),
        content,
      },
    }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, toResponse(answer, open)]),
      ),
      ...errorResponses(codesOf(operation)),
    },
    'x-codeSamples': [
      {
        lang: 'JavaScript',
        label: '@bsv/message-box-client',
        source: `${PRELUDE.replace(SAMPLE_HOST, host)}\n${sample}\n`,
      },
    ],
  }
}

function toResponse(
  { description, type = JSON_TYPE, schema, examples = {} }: Answer,
  open: boolean,
): object {
  const headers = {
    'x-request-id': { $ref: '#/components/headers/RequestId' },
    ...(!open && { [AUTH_HEADERS.signature]: { $ref: '#/components/headers/Signature' } }),
  }
  return {
    description,
    headers,
    ...(schema !== undefined && {
      content: { [type]: { schema, examples: toExamples(examples) } },
    }),
  }
}

function toParameters(
  { properties, required = [] }: JsonSchema,
  examples: Record<string, unknown>,
): object[] {
  return Object.entries(properties as Record<string, JsonSchema>).map(([name, schema]) => {
    const found = Object.entries(examples as Record<string, Record<string, unknown>>).filter(
      ([, example]) => name in example,
    )
    return {
      name,
      in: 'query',
      required: (required as string[]).includes(name),
      ...(schema.description !== undefined && { description: schema.description }),
      schema,
      ...(schema.type === 'array' && { style: 'form', explode: true }),
      ...(found.length > 0 && {
        examples: toExamples(
          Object.fromEntries(found.map(([title, example]) => [title, example[name]])),
        ),
      }),
    }
  })
}

function toExamples(examples: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]))
}

/** A copy with references to the named schemas, except to `written`, the schema being defined. */
function refer(node: unknown, written?: JsonSchema): unknown {
  if (typeof node !== 'object' || node === null) return node
  const named = Object.entries(NAMED).find(([, schema]) => schema === node && schema !== written)
  if (named !== undefined) return { $ref: `#/components/schemas/${named[0]}` }
  if (Array.isArray(node)) return node.map((item) => refer(item))
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, refer(value)]))
}
