/** The routes of the OpenAPI and AsyncAPI documents. */
import { createHash } from 'node:crypto'
import { STRING } from '../contract/answers'
import { once } from '../lib/once'
import type { Operation } from '../routes/route'

interface Documents {
  openapi: () => object
  asyncapi: () => object
}

/** Declares the route of a document that does not change while the server runs. */
const createDocumentRoute = (
  path: string,
  id: string,
  summary: string,
  field: string,
  example: object,
  contentOf: (documents: Documents) => object,
): Operation<Documents> => ({
  method: 'get',
  path,
  access: 'open',
  id,
  tag: 'Server',
  summary,
  description:
    'The response has an ETag. A request with `if-none-match` is answered with 304 if the ' +
    'document has not changed.',
  answers: {
    200: {
      description: 'The document.',
      schema: { type: 'object', required: [field], properties: { [field]: STRING } },
      examples: { beginning: example },
    },
    304: { description: 'The client has the current document.' },
  },
  errors: ['ERR_RATE_LIMITED'],
  sample: `const response = await fetch(\`\${host}${path}\`)
console.log((await response.json()).info.title)`,
  createHandler(documents) {
    const answer = once(() => {
      const body = Buffer.from(JSON.stringify(contentOf(documents)))
      const headers = {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-cache',
        etag: `"${createHash('sha256').update(body).digest('base64url')}"`,
      }
      return { body, headers }
    })
    return (_req, res) => {
      const { body, headers } = answer()
      res.set(headers).send(body)
    }
  },
})

export const DOCUMENT_ROUTES = [
  createDocumentRoute(
    '/openapi.json',
    'openapi',
    'HTTP API (OpenAPI 3.1)',
    'openapi',
    { openapi: '3.1.0' },
    ({ openapi }) => openapi(),
  ),
  createDocumentRoute(
    '/asyncapi.json',
    'asyncapi',
    'Socket events (AsyncAPI 3)',
    'asyncapi',
    { asyncapi: '3.0.0' },
    ({ asyncapi }) => asyncapi(),
  ),
]
