/** The overlay network's side (BRC-22, BRC-24): who receives messages where. */
import { formatNumber } from '../lib/format'
import { MAX_FOUND, MAX_FOUND_BYTES, MAX_HOSTS, MAX_OF_HOST } from '../db/advertisements'
import { MAX_QUESTION, MAX_SUBMISSION } from '../overlay'
import { QUESTION } from '../overlay/lookup'
import { MAX_ADVERTISED, MAX_STORED } from '../overlay/submission'
import { SERVICE, TOPIC } from '../overlay/topic'
import type { JsonSchema } from '../contract/schema'
import { exactly, listOf, STRING } from './answers'
import { ALICE, type OperationDescription } from './operation'

const ONLY_WHERE =
  'Only where the server is a node of the overlay network (`ENABLE_OVERLAY=true`): else there is nothing at this path. Always at the root of the server.'
const BYTES = listOf({ type: 'integer', minimum: 0, maximum: 255 })
const INDEXES = listOf({ type: 'integer', minimum: 0 })
const METADATA = exactly({ name: STRING, shortDescription: STRING, version: STRING })

/** What node and client share beside that: no identity, and a place at the root. */
const base = { tag: 'Overlay', open: true, atRoot: true } as const
const shared = ['ERR_RATE_LIMITED', 'ERR_SERVER_BUSY', 'ERR_UNAVAILABLE'] as const

const list = (
  path: string,
  id: string,
  what: string,
  name: string,
  example: object,
): OperationDescription => ({
  ...base,
  method: 'get',
  path,
  id,
  summary: `The ${what}s of this server`,
  description: `${ONLY_WHERE} There is one.`,
  answers: {
    200: {
      description: 'By their names.',
      schema: exactly({ [name]: METADATA }),
      examples: { usual: { [name]: example } },
    },
  },
  errors: ['ERR_NOT_FOUND'],
  shared: ['ERR_RATE_LIMITED'],
  sample: `console.log(await (await fetch(new URL('${path}', host))).json())`,
})

const documentation = (
  path: string,
  id: string,
  what: string,
  parameter: string,
  name: string,
  unknown: 'ERR_UNKNOWN_TOPIC' | 'ERR_UNKNOWN_SERVICE',
): OperationDescription => ({
  ...base,
  method: 'get',
  path,
  id,
  summary: `What a ${what} does, for people`,
  description: ONLY_WHERE,
  query: {
    schema: {
      type: 'object',
      required: [parameter],
      properties: { [parameter]: { const: name, description: `The name of the ${what}.` } },
    },
    examples: { usual: { [parameter]: name } },
  },
  answers: { 200: { description: 'In Markdown.', type: 'text/markdown', schema: STRING } },
  errors: [unknown, 'ERR_NOT_FOUND'],
  shared: ['ERR_RATE_LIMITED'],
  sample: `console.log(await (await fetch(new URL('${path}?${parameter}=${name}', host))).text())`,
})

const BINARY: JsonSchema = { type: 'string', format: 'binary' }

export const OVERLAY: OperationDescription[] = [
  {
    ...base,
    method: 'post',
    path: '/submit',
    id: 'submit',
    summary: 'Advertise a host, or take an advertisement back (BRC-22)',
    description: `${ONLY_WHERE} The body is a transaction in BEEF, which has to hold by its scripts and, but on a local network, by proofs that lead to blocks. Each output that is a PushDrop of an identity key, a host and the key's signature over both is admitted; an advertisement that the transaction spends is removed. Submitting it again changes nothing. A transaction may have ${MAX_ADVERTISED} advertisements, and with all that it rests on up to ${formatNumber(MAX_STORED)} bytes; an identity, ${MAX_HOSTS} hosts. Of one host, ${MAX_OF_HOST} advertisements of an identity stand, the first and the newest: a further one takes the place of another.`,
    headers: {
      'x-topics': {
        required: true,
        description: `The topics as a JSON array; this server has \`${TOPIC}\` alone.`,
        schema: STRING,
        example: `["${TOPIC}"]`,
      },
      'x-includes-off-chain-values': {
        required: false,
        description:
          '`true` where the body begins with the length of its BEEF, as a variable-length integer, and holds values behind it.',
        schema: { enum: ['true', 'false'] },
        example: 'false',
      },
    },
    body: {
      type: 'application/octet-stream',
      schema: BINARY,
      examples: {},
      limit: `Up to ${formatNumber(MAX_SUBMISSION)} bytes.`,
    },
    answers: {
      200: {
        description:
          'What the topic has made of the transaction (STEAK): which outputs it admitted, and which inputs spent an advertisement.',
        schema: exactly({
          [TOPIC]: exactly({
            outputsToAdmit: INDEXES,
            coinsToRetain: INDEXES,
            coinsRemoved: INDEXES,
          }),
        }),
        examples: {
          advertised: { [TOPIC]: { outputsToAdmit: [0], coinsToRetain: [], coinsRemoved: [] } },
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
    sample: `// With a wallet that has money, on a network where this server is found.
try {
  await client.anointHost(host)
} catch ({ message }) {
  console.log('A wallet without money cannot advertise:', message)
}`,
  },
  {
    ...base,
    method: 'post',
    path: '/lookup',
    id: 'lookup',
    summary: 'Find where an identity receives messages (BRC-24)',
    description: `${ONLY_WHERE} Answers with the advertisements that stand, the newest first, up to ${MAX_FOUND} of them and ${formatNumber(MAX_FOUND_BYTES)} bytes of transactions. With the header \`X-Aggregation: yes\` the answer has the SDK's binary form.`,
    headers: {
      'x-aggregation': {
        required: false,
        description: '`yes` for the binary form.',
        schema: STRING,
        example: 'no',
      },
    },
    body: {
      schema: QUESTION,
      examples: {
        identity: { service: SERVICE, query: { identityKey: ALICE } },
        host: { service: SERVICE, query: { host: 'https://box.example.com' } },
      },
      limit: `Up to ${formatNumber(MAX_QUESTION)} bytes.`,
    },
    answers: {
      200: {
        description: 'Outputs, each with the BEEF of its transaction.',
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
  },
  list('/listTopicManagers', 'listTopicManagers', 'topic manager', TOPIC, {
    name: 'MessageBox Topic Manager',
    shortDescription: 'Advertisements of hosts.',
    version: '0.1.0',
  }),
  list('/listLookupServiceProviders', 'listLookupServices', 'lookup service', SERVICE, {
    name: 'MessageBox Lookup Service',
    shortDescription: 'Finds hosts.',
    version: '0.1.0',
  }),
  documentation(
    '/getDocumentationForTopicManager',
    'topicDocumentation',
    'topic manager',
    'manager',
    TOPIC,
    'ERR_UNKNOWN_TOPIC',
  ),
  documentation(
    '/getDocumentationForLookupServiceProvider',
    'lookupDocumentation',
    'lookup service',
    'lookupService',
    SERVICE,
    'ERR_UNKNOWN_SERVICE',
  ),
]
