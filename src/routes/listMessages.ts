import type { Mailbox } from '../mailbox'
import {
  COUNT,
  exactly,
  FLAG,
  IDENTITY_KEY,
  listOf,
  NOON,
  nullable,
  STRING,
  success,
  TIME,
} from '../contract/answers'
import { MAX_PAGE_MESSAGES } from '../contract/protocol'
import {
  boxName,
  cursor,
  describe,
  field,
  messageId,
  object,
  orDefault,
  wholeNumber,
} from '../contract/schema'
import { ALICE, JsonBytes, route } from './route'

const offset = describe(orDefault(wholeNumber(0), 0), 'The number of messages to skip.')

const listRequest = object(
  {
    messageBox: field(boxName, 'ERR_INVALID_MESSAGEBOX', {
      missing: { code: 'ERR_MESSAGEBOX_REQUIRED' },
    }),
    limit: field(
      describe(
        orDefault(wholeNumber(1, MAX_PAGE_MESSAGES), MAX_PAGE_MESSAGES),
        'The maximum number of messages to list. A page has fewer if their bodies are large.',
      ),
      'ERR_INVALID_LIMIT',
    ),
    offset: field(offset, 'ERR_INVALID_OFFSET', {
      from: (fields) => (fields.offset === undefined ? (fields.skip ?? undefined) : fields.offset),
    }),
    after: field(
      describe(
        cursor,
        'The `nextCursor` of a page: lists what follows it, at the same cost for each page. ' +
          '`offset` then counts from there.',
      ),
      'ERR_INVALID_CURSOR',
      { optional: true },
    ),
    messageId: field(
      describe(messageId, 'Lists this message only. If it is not in the box, the page is empty.'),
      'ERR_INVALID_MESSAGE_ID',
      { optional: true },
    ),
  },
  {
    anyOf: [
      { required: ['offset'] },
      {
        properties: {
          skip: {
            anyOf: [offset.json, { type: 'null' }],
            description: 'Another name of "offset", used if "offset" is left out.',
          },
        },
      },
    ],
  },
)

const LISTED = exactly({
  messageId: STRING,
  sender: IDENTITY_KEY,
  body: {
    type: 'string',
    description:
      'The body as it was sent; an object as its JSON. With a payment it is ' +
      '`{"message": BODY, "payment": …}`. A body that clients would mistake for this form is ' +
      'listed as `{"message": BODY}`.',
  },
  created_at: TIME,
  updated_at: TIME,
  createdAt: TIME,
  updatedAt: TIME,
})

export const listMessages = route({
  method: 'post',
  path: '/listMessages',
  id: 'listMessages',
  tag: 'Messages',
  summary: 'List messages of a box',
  description:
    "Lists a page of one of the caller's boxes, in order of arrival. Messages stay until they " +
    'are acknowledged. A page has up to `limit` messages, fewer if their bodies are large, and ' +
    'at least one unless the box has no more. An empty or unknown box is an empty list.',
  input: listRequest,
  examples: {
    first: { messageBox: 'letters' },
    next: { messageBox: 'letters', limit: 100, offset: 100 },
  },
  output: {
    description:
      'The page. `nextCursor` is the `after` of the next page, and `nextOffset` its offset. ' +
      'Both are null on the last page.',
    schema: success({
      messages: listOf(LISTED),
      limit: COUNT,
      offset: COUNT,
      hasMore: FLAG,
      nextOffset: nullable(COUNT),
      nextCursor: nullable(STRING),
    }),
    examples: {
      page: {
        status: 'success',
        messages: [
          {
            messageId: 'a fresh id',
            sender: ALICE,
            body: 'Good morning, Bob!',
            created_at: NOON,
            updated_at: NOON,
            createdAt: NOON,
            updatedAt: NOON,
          },
        ],
        limit: 1000,
        offset: 0,
        hasMore: false,
        nextOffset: null,
        nextCursor: null,
      },
    },
  },
  errors: [
    'ERR_MESSAGEBOX_REQUIRED',
    'ERR_INVALID_MESSAGEBOX',
    'ERR_INVALID_LIMIT',
    'ERR_INVALID_OFFSET',
    'ERR_INVALID_CURSOR',
    'ERR_INVALID_MESSAGE_ID',
    'ERR_SCHEMA_OUTDATED',
  ],
  sample: `const messages = await client.listMessages({ messageBox: 'letters', host })
for (const { messageId, sender, body } of messages) console.log(messageId, sender, body)`,
  handler:
    ({ mailbox }: { mailbox: Mailbox }) =>
    async (recipient, request) => {
      const { json, limit, offset, hasMore, nextOffset, nextCursor } = await mailbox.list(
        recipient,
        request,
      )
      return new JsonBytes(json.finish({ limit, offset, hasMore, nextOffset, nextCursor }))
    },
})
