/** The routes for the overlay network (BRC-22, BRC-24). */
import { formatNumber } from '../lib/format'
import {
  LOOKUP_SERVICE,
  MAX_ADVERTISED,
  MAX_HOSTS,
  MAX_OF_HOST,
  OVERLAY_TOPIC,
} from '../contract/protocol'
import { type AdvertisementStore, MAX_FOUND, MAX_FOUND_BYTES } from '../db/advertisements'
import { receiveBody } from '../http/body'
import { exchangeOf } from '../http/exchange'
import { parseJson } from '../http/json'
import type { Limits } from '../limits'
import { pointsOf } from '../limits/meter'
import type { RateLimiter } from '../limits/rates'
import type { TransactionVerifier } from '../spv/verifier'
import { toBinary, toOutputList } from './answer'
import { listDescribed, LOOKUP_SERVICES, TOPIC_MANAGERS, type Described } from './documentation'
import { QUESTION } from './lookup'
import { checkTopics, MAX_STORED_BYTES, submitTransaction, takeBeef } from './submission'
import type { JsonSchema } from '../contract/schema'
import type { Request } from 'express'
import { exactly, listOf, STRING } from '../contract/answers'
import { ApiError } from '../contract/errors'
import { ALICE, type Operation } from '../routes/route'

const MAX_QUESTION_BYTES = 16 * 1024
const MAX_SUBMISSION_BYTES = 256 * 1024

export interface OverlayParts {
  store: AdvertisementStore
  limits: Limits
  verifier: TransactionVerifier<'submission'>
}

const AVAILABILITY =
  'Always at the root of the server. If the server is not a node of the overlay network ' +
  '(`ENABLE_OVERLAY=true`), this path is 404.'
const BYTES = listOf({ type: 'integer', minimum: 0, maximum: 255 })
const INDEXES = listOf({ type: 'integer', minimum: 0 })
const METADATA = exactly({ name: STRING, shortDescription: STRING, version: STRING })

const base = { tag: 'Overlay', access: 'open', atRoot: true } as const
const shared = ['ERR_RATE_LIMITED', 'ERR_SERVER_BUSY', 'ERR_UNAVAILABLE'] as const

const createListRoute = (
  path: string,
  id: string,
  what: string,
  name: string,
  example: object,
  described: Map<string, Described>,
): Operation<OverlayParts> => ({
  ...base,
  method: 'get',
  path,
  id,
  summary: `List ${what}s`,
  description: `${AVAILABILITY} This server has one ${what}.`,
  answers: {
    200: {
      description: `The ${what}s by name.`,
      schema: exactly({ [name]: METADATA }),
      examples: { usual: { [name]: example } },
    },
  },
  errors: ['ERR_NOT_FOUND'],
  shared: ['ERR_RATE_LIMITED'],
  sample: `console.log(await (await fetch(new URL('${path}', host))).json())`,
  createHandler: () => (_req, res) => {
    res.json(listDescribed(described))
  },
})

const createDocumentationRoute = (
  path: string,
  id: string,
  what: string,
  parameter: string,
  name: string,
  unknown: 'ERR_UNKNOWN_TOPIC' | 'ERR_UNKNOWN_SERVICE',
  described: Map<string, Described>,
): Operation<OverlayParts> => ({
  ...base,
  method: 'get',
  path,
  id,
  summary: `Describe a ${what}`,
  description: AVAILABILITY,
  query: {
    schema: {
      type: 'object',
      required: [parameter],
      properties: { [parameter]: { const: name, description: `The name of the ${what}.` } },
    },
    examples: { usual: { [parameter]: name } },
  },
  answers: {
    200: { description: 'The description, in Markdown.', type: 'text/markdown', schema: STRING },
  },
  errors: [unknown, 'ERR_NOT_FOUND'],
  shared: ['ERR_RATE_LIMITED'],
  sample: `console.log(await (await fetch(new URL('${path}?${parameter}=${name}', host))).text())`,
  createHandler: () => (req, res) => {
    const found = described.get(String(req.query[parameter]))
    if (found === undefined)
      throw new ApiError(
        unknown,
        `Name one of these in "${parameter}": ${[...described.keys()].join(', ')}.`,
      )
    res.type('text/markdown').send(found.documentation)
  },
})

const BINARY: JsonSchema = { type: 'string', format: 'binary' }

export const OVERLAY_ROUTES: Array<Operation<OverlayParts>> = [
  {
    ...base,
    method: 'post',
    path: '/submit',
    id: 'submit',
    summary: 'Submit or revoke advertisements (BRC-22)',
    description:
      `${AVAILABILITY} The body is a transaction in BEEF. Its scripts must be valid, and, except ` +
      'on a local network, its proofs must lead to blocks. The server admits each output that is ' +
      "a PushDrop of an identity key, a host and the key's signature over both, and removes the " +
      'advertisements that the transaction spends. Submitting a transaction again changes ' +
      `nothing. A transaction may have up to ${MAX_ADVERTISED} advertisements and, with its ` +
      `ancestors and proofs, ${formatNumber(MAX_STORED_BYTES)} bytes. An identity may have ` +
      `${MAX_HOSTS} hosts. For each host the server keeps ${MAX_OF_HOST} advertisements of an ` +
      'identity, the first and the newest: a further advertisement replaces another.',
    headers: {
      'x-topics': {
        required: true,
        description: `The topics as a JSON array. This server has only \`${OVERLAY_TOPIC}\`.`,
        schema: STRING,
        example: `["${OVERLAY_TOPIC}"]`,
      },
      'x-includes-off-chain-values': {
        required: false,
        description:
          '`true` if the body begins with the length of its BEEF, as a variable-length integer, ' +
          'and has off-chain values after the BEEF.',
        schema: { enum: ['true', 'false'] },
        example: 'false',
      },
    },
    body: {
      type: 'application/octet-stream',
      schema: BINARY,
      examples: {},
      limit: `Up to ${formatNumber(MAX_SUBMISSION_BYTES)} bytes.`,
    },
    answers: {
      200: {
        description:
          'The acknowledgement of the topic (STEAK): the outputs that it admitted and the inputs ' +
          'that spent an advertisement.',
        schema: exactly({
          [OVERLAY_TOPIC]: exactly({
            outputsToAdmit: INDEXES,
            coinsToRetain: INDEXES,
            coinsRemoved: INDEXES,
          }),
        }),
        examples: {
          advertised: {
            [OVERLAY_TOPIC]: { outputsToAdmit: [0], coinsToRetain: [], coinsRemoved: [] },
          },
        },
      },
    },
    errors: [
      'ERR_UNKNOWN_TOPIC',
      'ERR_INVALID_TRANSACTION',
      'ERR_INVALID_ADVERTISEMENT',
      'ERR_ADVERTISEMENT_SPENT',
      'ERR_TOO_MANY_ADVERTISEMENTS',
      'ERR_PROOFS_UNAVAILABLE',
      'ERR_BODY_TOO_LARGE',
      'ERR_NOT_FOUND',
    ],
    shared,
    sample: `// This needs a wallet with money, on a network with an overlay.
try {
  await client.anointHost(host)
} catch ({ message }) {
  console.log('A wallet without money cannot advertise:', message)
}`,
    createHandler:
      ({ verifier, store, limits }) =>
      async (req, res) => {
        const body = await receive(req, limits.submissions, MAX_SUBMISSION_BYTES, limits)
        checkTopics(req.headers['x-topics'])
        const beef = takeBeef(body, req.headers)
        res.json(await submitTransaction({ verifier, store }, exchangeOf(req).address, beef))
      },
  },
  {
    ...base,
    method: 'post',
    path: '/lookup',
    id: 'lookup',
    summary: 'Find the hosts of an identity (BRC-24)',
    description:
      `${AVAILABILITY} Returns the advertisements that match the query and are not spent, newest ` +
      `first, up to ${MAX_FOUND} of them and ${formatNumber(MAX_FOUND_BYTES)} bytes of ` +
      'transactions. With the header `X-Aggregation: yes` the response has the binary form of ' +
      'the SDK.',
    headers: {
      'x-aggregation': {
        required: false,
        description: '`yes` requests the binary form.',
        schema: STRING,
        example: 'no',
      },
    },
    body: {
      schema: QUESTION.json,
      examples: {
        identity: { service: LOOKUP_SERVICE, query: { identityKey: ALICE } },
        host: { service: LOOKUP_SERVICE, query: { host: 'https://box.example.com' } },
      },
      limit: `Up to ${formatNumber(MAX_QUESTION_BYTES)} bytes.`,
    },
    answers: {
      200: {
        description: 'The outputs, each with the BEEF of its transaction.',
        schema: exactly({
          type: { const: 'output-list' },
          outputs: listOf(exactly({ beef: BYTES, outputIndex: { type: 'integer', minimum: 0 } })),
        }),
        examples: { nothing: { type: 'output-list', outputs: [] } },
      },
    },
    errors: [
      'ERR_UNKNOWN_SERVICE',
      'ERR_INVALID_QUERY',
      'ERR_INVALID_JSON',
      'ERR_BODY_TOO_LARGE',
      'ERR_NOT_FOUND',
    ],
    shared,
    sample: `const recipient = await client.getIdentityKey()
console.log(await client.resolveHostForRecipient(recipient))`,
    createHandler:
      ({ store, limits }) =>
      async (req, res) => {
        const body = await receive(req, limits.lookups, MAX_QUESTION_BYTES, limits)
        const found = await store.find(QUESTION.parse(parseJson(body)))
        const binary = req.headers['x-aggregation'] === 'yes'
        const answer = binary ? toBinary(found) : toOutputList(found)
        limits.perAddress.charge(exchangeOf(req).address, pointsOf({ bytes: answer.length }))
        res.type(binary ? 'application/octet-stream' : 'json').send(answer)
      },
  },
  createListRoute(
    '/listTopicManagers',
    'listTopicManagers',
    'topic manager',
    OVERLAY_TOPIC,
    {
      name: 'MessageBox Topic Manager',
      shortDescription: 'Advertisements of hosts.',
      version: '0.1.0',
    },
    TOPIC_MANAGERS,
  ),
  createListRoute(
    '/listLookupServiceProviders',
    'listLookupServices',
    'lookup service',
    LOOKUP_SERVICE,
    {
      name: 'MessageBox Lookup Service',
      shortDescription: 'Finds hosts.',
      version: '0.1.0',
    },
    LOOKUP_SERVICES,
  ),
  createDocumentationRoute(
    '/getDocumentationForTopicManager',
    'topicDocumentation',
    'topic manager',
    'manager',
    OVERLAY_TOPIC,
    'ERR_UNKNOWN_TOPIC',
    TOPIC_MANAGERS,
  ),
  createDocumentationRoute(
    '/getDocumentationForLookupServiceProvider',
    'lookupDocumentation',
    'lookup service',
    'lookupService',
    LOOKUP_SERVICE,
    'ERR_UNKNOWN_SERVICE',
    LOOKUP_SERVICES,
  ),
]

/** Receives the body of a request after counting it against the rate limit of the address. */
async function receive(
  req: Request,
  rate: RateLimiter,
  maxBytes: number,
  limits: Limits,
): Promise<Buffer> {
  await rate.consume(exchangeOf(req).address)
  return await receiveBody(req, maxBytes, limits)
}
