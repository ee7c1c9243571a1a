import type { Mailbox } from '../mailbox'
import { ABOUT, exactly, IDENTITY_KEY, listOf, STRING, success } from '../contract/answers'
import { MESSAGE } from '../contract/messages'
import { asFields, type Fields } from '../contract/primitives'
import { type OutgoingMessage } from '../contract/protocol'
import { field, object, refine, type Schema } from '../contract/schema'
import { PAYMENT } from '../payments/payment'
import { ALICE, BOB, route } from './route'

/** The `payment` field. Null if it is not an object, which a free message may have. */
const payment: Schema<Fields | null> = {
  read: (value) => asFields(value) ?? null,
  json: {
    anyOf: [
      PAYMENT,
      {
        title:
          'with a free message, any other value: the server passes an object on unchanged ' +
          'and drops other values',
      },
    ],
    description:
      'Pays for the message. `sendMessage` and `sendMesagetoRecepients` of the released client ' +
      'create it.',
  },
}

const sendRequest = refine(
  object({
    message: field(MESSAGE, 'ERR_MESSAGE_REQUIRED'),
    payment: field(payment, 'ERR_INVALID_PAYMENT'),
  }),
  ({ message, payment: given }): OutgoingMessage =>
    given === null ? message : { ...message, payment: given },
)

const RESULT = exactly(
  {
    recipient: IDENTITY_KEY,
    messageId: STRING,
    duplicate: {
      const: true,
      description: 'The same message was stored before; it is not stored again.',
    },
  },
  ['duplicate'],
)

export const sendMessage = route({
  method: 'post',
  path: '/sendMessage',
  id: 'sendMessage',
  tag: 'Messages',
  summary: 'Send a message to up to 100 recipients',
  description:
    'Either all recipients get the message or none. A message answered with 200 is on disk. ' +
    'Fields are checked in the order of the errors below. ' +
    'A client may repeat a send: with the same sender, recipient, box and id it succeeds, stores ' +
    'nothing again, and its result has `"duplicate": true`. ' +
    'The message has as many ids as recipients. ' +
    'Two spellings of one key are the same recipient. ' +
    'If the server charges for the delivery, or a recipient for the message, the request needs a ' +
    'payment: `GET /permissions/quote` returns the price.',
  input: sendRequest,
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
  output: {
    description: 'The message is stored. `messageId` is left out if there are several recipients.',
    schema: success(
      {
        messageId: STRING,
        message: ABOUT,
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
const letter = { recipient, messageBox: 'letters', body: 'Good morning, Bob!' }
const sent = await client.sendMessage(letter, host)
console.log(sent.messageId)`,
  handler:
    ({ mailbox }: { mailbox: Mailbox }) =>
    async (sender, message) => {
      const results = await mailbox.send(sender, message)
      const [first] = results
      if (results.length > 1 || first === undefined) {
        return {
          status: 'success',
          message: `Your message has been sent to ${results.length} recipients.`,
          results,
        }
      }
      return {
        status: 'success',
        messageId: first.messageId,
        message: `Your message has been sent to ${first.recipient}`,
        results,
      }
    },
})
