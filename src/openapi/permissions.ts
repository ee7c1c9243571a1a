import {
  PERMISSION_QUERY,
  PERMISSIONS_QUERY,
  QUOTE_QUERY,
  RULE_REQUEST,
} from '../permissions/requests'
import {
  ABOUT,
  COUNT,
  exactly,
  FEE,
  FEE_STATUS,
  IDENTITY_KEY,
  listOf,
  NOON,
  nullable,
  SATOSHIS,
  STRING,
  success,
  TIME,
} from './answers'
import { ALICE, BOB, type OperationDescription } from './operation'

const RULE = {
  sender: nullable(IDENTITY_KEY),
  messageBox: STRING,
  recipientFee: FEE,
  status: FEE_STATUS,
  createdAt: TIME,
  updatedAt: TIME,
}
const EXAMPLE = {
  sender: ALICE,
  messageBox: 'letters',
  recipientFee: 10,
  status: 'payment_required',
  createdAt: NOON,
  updatedAt: NOON,
}
const PRICE = { deliveryFee: SATOSHIS, recipientFee: FEE }

export const PERMISSIONS: OperationDescription[] = [
  {
    method: 'post',
    path: '/permissions/set',
    id: 'setPermission',
    tag: 'Permissions',
    summary: "Say who may write into a box of the caller's, and at what price",
    description:
      "The rule replaces the one before it. A sender's own rule wins over everyone's; where there is none, writing is free.",
    body: {
      schema: RULE_REQUEST,
      examples: {
        charge: { messageBox: 'letters', recipientFee: 10 },
        block: { messageBox: 'letters', recipientFee: -1, sender: ALICE },
      },
    },
    answers: {
      200: {
        description: 'The rule holds.',
        schema: success({ description: ABOUT }),
        examples: {
          charge: {
            status: 'success',
            description: 'Everyone pays 10 satoshis for each message into "letters".',
          },
        },
      },
    },
    errors: [
      'ERR_INVALID_REQUEST',
      'ERR_INVALID_PUBLIC_KEY',
      'ERR_INVALID_FEE_VALUE',
      'ERR_INVALID_MESSAGE_BOX',
      'ERR_RULE_QUOTA_EXCEEDED',
    ],
    sample:
      "await client.setMessageBoxPermission({ messageBox: 'letters', recipientFee: 10 }, host)",
  },
  {
    method: 'get',
    path: '/permissions/get',
    id: 'getPermission',
    tag: 'Permissions',
    summary: "The caller's rule for a sender, or for everyone",
    description:
      'Finds the rule for just this sender: where there is none, the one for everyone may still apply. Which price holds for a sender is told by `GET /permissions/quote`.',
    query: {
      schema: PERMISSION_QUERY,
      examples: {
        sender: { messageBox: 'letters', sender: ALICE },
        everyone: { messageBox: 'letters' },
      },
    },
    answers: {
      200: {
        description: 'The rule; null where there is none.',
        schema: success({ description: ABOUT, permission: nullable(exactly(RULE)) }),
        examples: {
          rule: { status: 'success', description: `The rule for ${ALICE}.`, permission: EXAMPLE },
          none: {
            status: 'success',
            description: 'There is no rule for everyone.',
            permission: null,
          },
        },
      },
    },
    errors: ['ERR_MISSING_PARAMETERS', 'ERR_INVALID_PUBLIC_KEY', 'ERR_INVALID_MESSAGE_BOX'],
    sample: `const recipient = await client.getIdentityKey()
console.log(await client.getMessageBoxPermission({ recipient, messageBox: 'letters' }, host))`,
  },
  {
    method: 'get',
    path: '/permissions/list',
    id: 'listPermissions',
    tag: 'Permissions',
    summary: "The caller's rules",
    description: "All rules, or those of one box: by box, everyone's before those for one sender.",
    query: {
      schema: PERMISSIONS_QUERY,
      examples: { all: {}, box: { messageBox: 'letters', limit: 10, offset: 0 } },
    },
    answers: {
      200: {
        description: 'A page of rules, each in two spellings, and how many there are in all.',
        schema: success({
          permissions: listOf(
            exactly({
              ...RULE,
              message_box: STRING,
              recipient_fee: FEE,
              created_at: TIME,
              updated_at: TIME,
            }),
          ),
          totalCount: COUNT,
        }),
        examples: {
          one: {
            status: 'success',
            permissions: [
              {
                ...EXAMPLE,
                message_box: 'letters',
                recipient_fee: 10,
                created_at: NOON,
                updated_at: NOON,
              },
            ],
            totalCount: 1,
          },
        },
      },
    },
    errors: ['ERR_INVALID_LIMIT', 'ERR_INVALID_OFFSET', 'ERR_INVALID_MESSAGE_BOX'],
    sample: "console.log(await client.listMessageBoxPermissions({ messageBox: 'letters' }, host))",
  },
  {
    method: 'get',
    path: '/permissions/quote',
    id: 'quote',
    tag: 'Permissions',
    summary: 'What it costs the caller to write to somebody, or to several',
    description:
      "The delivery fee is the server's, due once for a message. With several recipients the answer has a quote for each, and sums them up for those who do not block the caller.",
    query: {
      schema: QUOTE_QUERY,
      examples: {
        one: { recipient: [BOB], messageBox: 'letters' },
        several: { recipient: [ALICE, BOB], messageBox: 'letters' },
      },
    },
    answers: {
      200: {
        description: 'A quote; for several recipients one for each, and their sums.',
        schema: {
          oneOf: [
            success({ description: ABOUT, quote: exactly(PRICE) }),
            success({
              description: ABOUT,
              quotesByRecipient: listOf(
                exactly({
                  recipient: IDENTITY_KEY,
                  messageBox: STRING,
                  ...PRICE,
                  status: FEE_STATUS,
                }),
                { minItems: 2 },
              ),
              totals: exactly({
                deliveryFees: SATOSHIS,
                recipientFees: SATOSHIS,
                totalForPayableRecipients: SATOSHIS,
              }),
              blockedRecipients: listOf(IDENTITY_KEY),
            }),
          ],
        },
        examples: {
          one: {
            status: 'success',
            description: 'What a message costs.',
            quote: { deliveryFee: 0, recipientFee: 10 },
          },
          several: {
            status: 'success',
            description: 'What a message to 2 recipients costs.',
            quotesByRecipient: [
              {
                recipient: ALICE,
                messageBox: 'letters',
                deliveryFee: 0,
                recipientFee: 10,
                status: 'payment_required',
              },
              {
                recipient: BOB,
                messageBox: 'letters',
                deliveryFee: 0,
                recipientFee: -1,
                status: 'blocked',
              },
            ],
            totals: { deliveryFees: 0, recipientFees: 10, totalForPayableRecipients: 10 },
            blockedRecipients: [BOB],
          },
        },
      },
    },
    errors: [
      'ERR_MISSING_PARAMETERS',
      'ERR_TOO_MANY_RECIPIENTS',
      'ERR_INVALID_PUBLIC_KEY',
      'ERR_INVALID_MESSAGE_BOX',
    ],
    sample: `const recipient = PrivateKey.fromRandom().toPublicKey().toString()
console.log(await client.getMessageBoxQuote({ recipient, messageBox: 'letters' }, host))`,
  },
]
