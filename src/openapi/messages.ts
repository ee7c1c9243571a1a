import { PAYMENT } from '../payments/payment'
import { fieldsOf, type JsonSchema } from '../contract/schema'
import { ACKNOWLEDGE_REQUEST, LIST_REQUEST, MESSAGE } from '../contract/messages'
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
} from './answers'
import { ALICE, BOB, type OperationDescription } from './operation'

const PAYMENT_BESIDE: JsonSchema = {
  anyOf: [
    PAYMENT,
    {
      title:
        'anything else, beside a message that costs nothing: an object is passed on as it came, other values are left out',
    },
  ],
  description:
    'What the message costs, made as `sendMessage` and `sendMesagetoRecepients` of the released client make it.',
}

const SEND_REQUEST = fieldsOf({ message: { json: MESSAGE }, payment: { json: PAYMENT_BESIDE } }, [
  'message',
])

const RESULT = exactly(
  {
    recipient: IDENTITY_KEY,
    messageId: STRING,
    duplicate: {
      const: true,
      description: 'This very message was there already: nothing was stored twice.',
    },
  },
  ['duplicate'],
)

const LISTED = exactly({
  messageId: STRING,
  sender: IDENTITY_KEY,
  body: {
    type: 'string',
    description:
      'What was sent; an object as its JSON. Where a payment came with it, `{"message": BODY, "payment": …}`; and `{"message": BODY}` for a body that clients would mistake for that.',
  },
  created_at: TIME,
  updated_at: TIME,
  createdAt: TIME,
  updatedAt: TIME,
})

export const MESSAGES: OperationDescription[] = [
  {
    method: 'post',
    path: '/sendMessage',
    id: 'sendMessage',
    tag: 'Messages',
    summary: 'Store a message, for one recipient or up to 100',
    description:
      'All recipients get the message, or none does; what is answered with 200 is on disk. Fields are checked in the order of the errors below. ' +
      'Repeating a send is safe: with the same sender, recipient, box and id it succeeds, stores nothing again, and its result says `"duplicate": true`. ' +
      'There have to be as many ids as recipients, and two spellings of one key are the same recipient. ' +
      'Where the server charges for the delivery or a recipient for the message, a payment has to come with it: ask `GET /permissions/quote` first.',
    body: {
      schema: SEND_REQUEST,
      examples: {
        one: {
          message: {
            recipient: BOB,
            messageBox: 'letters',
            messageId: 'a fresh id',
            body: 'Good morning, Bob!',
          },
        },
        several: {
          message: {
            recipients: [ALICE, BOB],
            messageBox: 'letters',
            messageId: ['id 1', 'id 2'],
            body: { subject: 'Good morning' },
          },
        },
        paid: {
          message: {
            recipient: BOB,
            messageBox: 'letters',
            messageId: 'a fresh id',
            body: 'Good morning, Bob!',
          },
          payment: {
            tx: 'AQEBAQ==',
            outputs: [
              {
                outputIndex: 0,
                protocol: 'wallet payment',
                paymentRemittance: {
                  derivationPrefix: 'cHJlZml4',
                  derivationSuffix: 'c3VmZml4',
                  senderIdentityKey: ALICE,
                },
              },
            ],
            description: 'for a letter',
          },
        },
      },
    },
    answers: {
      200: {
        description:
          'The message is stored. With several recipients there is no `messageId` beside `results`.',
        schema: success(
          {
            messageId: STRING,
            message: { type: 'string', description: 'For a person.' },
            results: listOf(RESULT, { minItems: 1 }),
          },
          ['messageId'],
        ),
        examples: {
          one: {
            status: 'success',
            messageId: 'a fresh id',
            message: `Your message has been sent to ${BOB}`,
            results: [{ recipient: BOB, messageId: 'a fresh id' }],
          },
          several: {
            status: 'success',
            message: 'Your message has been sent to 2 recipients.',
            results: [
              { recipient: ALICE, messageId: 'id 1' },
              { recipient: BOB, messageId: 'id 2', duplicate: true },
            ],
          },
        },
      },
    },
    errors: [
      'ERR_MESSAGE_REQUIRED',
      'ERR_INVALID_MESSAGEBOX',
      'ERR_INVALID_MESSAGE_BODY',
      'ERR_RECIPIENT_REQUIRED',
      'ERR_MESSAGEID_REQUIRED',
      'ERR_MESSAGEID_COUNT_MISMATCH',
      'ERR_INVALID_MESSAGEID',
      'ERR_INVALID_RECIPIENT_KEY',
      'ERR_TOO_MANY_RECIPIENTS',
      'ERR_DUPLICATE_RECIPIENT',
      'ERR_DELIVERY_BLOCKED',
      'ERR_MISSING_PAYMENT_TX',
      'ERR_INVALID_PAYMENT',
      'ERR_MISSING_DELIVERY_OUTPUT',
      'ERR_INSUFFICIENT_OUTPUTS',
      'ERR_MISSING_RECIPIENT_OUTPUTS',
      'ERR_PAYMENT_NOT_TO_PAYEE',
      'ERR_INSUFFICIENT_PAYMENT',
      'ERR_PAYMENT_REPLAYED',
      'ERR_PAYMENT_REJECTED',
      'ERR_PAYMENTS_UNAVAILABLE',
      'ERR_DUPLICATE_MESSAGE',
      'ERR_INBOX_QUOTA_EXCEEDED',
      'ERR_SENDER_QUOTA_EXCEEDED',
      'ERR_SCHEMA_OUTDATED',
    ],
    sample: `const recipient = PrivateKey.fromRandom().toPublicKey().toString()
const sent = await client.sendMessage({ recipient, messageBox: 'letters', body: 'Good morning, Bob!' }, host)
console.log(sent.messageId)`,
  },
  {
    method: 'post',
    path: '/listMessages',
    id: 'listMessages',
    tag: 'Messages',
    summary: "A page of one of the caller's own boxes, in order of arrival",
    description:
      'Listing changes nothing: messages stay until they are acknowledged. A box that holds nothing is an empty list. ' +
      'A page ends at `limit` messages, or sooner where its bodies grow large; it always holds at least one message, if there is any.',
    body: {
      schema: LIST_REQUEST,
      examples: {
        first: { messageBox: 'letters' },
        next: { messageBox: 'letters', limit: 100, offset: 100 },
      },
    },
    answers: {
      200: {
        description:
          'The page. `nextOffset` is where the next one begins; null where there is none.',
        schema: success({
          messages: listOf(LISTED),
          limit: COUNT,
          offset: COUNT,
          hasMore: FLAG,
          nextOffset: nullable(COUNT),
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
          },
        },
      },
    },
    errors: [
      'ERR_MESSAGEBOX_REQUIRED',
      'ERR_INVALID_MESSAGEBOX',
      'ERR_INVALID_LIMIT',
      'ERR_INVALID_OFFSET',
      'ERR_INVALID_MESSAGE_ID',
      'ERR_SCHEMA_OUTDATED',
    ],
    sample: `const messages = await client.listMessages({ messageBox: 'letters', host })
for (const { messageId, sender, body } of messages) console.log(messageId, sender, body)`,
  },
  {
    method: 'post',
    path: '/acknowledgeMessage',
    id: 'acknowledgeMessage',
    tag: 'Messages',
    summary: 'Delete messages of the caller',
    description:
      "Deletes for good, from any of the caller's boxes. Succeeds where at least one of the ids was the caller's; others are passed over.",
    body: { schema: ACKNOWLEDGE_REQUEST, examples: { one: { messageIds: ['a fresh id'] } } },
    answers: {
      200: {
        description: 'At least one message is gone.',
        schema: success(),
        examples: { done: { status: 'success' } },
      },
    },
    errors: [
      'ERR_MESSAGE_ID_REQUIRED',
      'ERR_INVALID_MESSAGE_ID',
      'ERR_INVALID_ACKNOWLEDGMENT',
      'ERR_SCHEMA_OUTDATED',
    ],
    sample: `const recipient = await client.getIdentityKey()
const { messageId } = await client.sendMessage({ recipient, messageBox: 'letters', body: 'To myself' }, host)
console.log(await client.acknowledgeMessage({ messageIds: [messageId], host }))`,
  },
]
