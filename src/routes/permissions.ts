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
} from '../contract/answers'
import { ApiError } from '../contract/errors'
import { toIdentityKey, toList } from '../contract/primitives'
import {
  MAX_FEE_SATOSHIS,
  MAX_PAGE_PERMISSIONS,
  MAX_RECIPIENTS,
  USUAL_PERMISSIONS,
  type IdentityKey,
} from '../contract/protocol'
import {
  boxName,
  describe,
  field,
  object,
  orDefault,
  orNothing,
  publicKey,
  queriedNumber,
  queriedOrNothing,
  wholeNumber,
  type Schema,
} from '../contract/schema'
import type { Permission, Permissions, Quote } from '../permissions'
import { BLOCKED, FREE } from '../permissions/rules'
import { ALICE, BOB, route } from './route'

const ruleRequest = object({
  sender: field(
    describe(
      orNothing(publicKey),
      'The sender that the rule applies to. All senders if left out, null or empty.',
    ),
    'ERR_INVALID_PUBLIC_KEY',
  ),
  recipientFee: field(
    describe(
      wholeNumber(BLOCKED, MAX_FEE_SATOSHIS),
      'The price of each message in satoshis. 0 allows free messages, -1 blocks the sender.',
    ),
    'ERR_INVALID_FEE_VALUE',
    { missing: { code: 'ERR_INVALID_REQUEST', isMissing: (fee) => typeof fee !== 'number' } },
  ),
  messageBox: field(boxName, 'ERR_INVALID_MESSAGE_BOX', {
    missing: { code: 'ERR_INVALID_REQUEST', isMissing: (name) => typeof name !== 'string' },
  }),
})

const ruleQuery = object({
  sender: field(
    describe(
      queriedOrNothing(publicKey),
      'The sender that the rule applies to. All senders if left out or empty.',
    ),
    'ERR_INVALID_PUBLIC_KEY',
  ),
  messageBox: field(boxName, 'ERR_INVALID_MESSAGE_BOX', {
    missing: { code: 'ERR_MISSING_PARAMETERS', text: 'Name the box in "messageBox".' },
  }),
})

const ruledBox = describe(
  queriedOrNothing(boxName),
  'The box whose rules are listed. All boxes if left out or empty.',
)
const rulesQuery = object(
  {
    limit: field(
      describe(
        orDefault(queriedNumber(1, MAX_PAGE_PERMISSIONS), USUAL_PERMISSIONS),
        'The maximum number of rules to list.',
      ),
      'ERR_INVALID_LIMIT',
    ),
    offset: field(
      describe(orDefault(queriedNumber(0), 0), 'The number of rules to skip.'),
      'ERR_INVALID_OFFSET',
    ),
    messageBox: field(ruledBox, 'ERR_INVALID_MESSAGE_BOX', {
      from: ({ messageBox, message_box }) => messageBox ?? message_box,
    }),
  },
  {
    properties: {
      message_box: describe(
        ruledBox,
        'Another name of "messageBox", used if "messageBox" is left out.',
      ).json,
    },
  },
)

/** The distinct recipients, in the order of their first mention. */
const quotedRecipients: Schema<IdentityKey[]> = {
  read(value) {
    const named = toList(value)
    if (named.length === 0) return undefined
    if (named.length > MAX_RECIPIENTS)
      throw new ApiError(
        'ERR_TOO_MANY_RECIPIENTS',
        `A quote is for up to ${MAX_RECIPIENTS} recipients, this request names ${named.length}.`,
      )
    const keys = named.map(toIdentityKey)
    const invalid = keys.flatMap((key, index) => (key === undefined ? [index] : []))
    if (invalid.length > 0)
      throw new ApiError(
        'ERR_INVALID_PUBLIC_KEY',
        `Recipients that are not identity keys, counted from 0: ${invalid.join(', ')}.`,
        { invalidIndexes: invalid },
      )
    return [...new Set(keys as IdentityKey[])]
  },
  json: {
    type: 'array',
    items: publicKey.json,
    minItems: 1,
    maxItems: MAX_RECIPIENTS,
    description: `One parameter for each recipient, up to ${MAX_RECIPIENTS}.`,
  },
}
const quoteMissing = {
  code: 'ERR_MISSING_PARAMETERS',
  text: 'Name each recipient in a "recipient" parameter, and the box in "messageBox".',
} as const
const quoteQuery = object({
  recipient: field(quotedRecipients, 'ERR_INVALID_PUBLIC_KEY', {
    missing: { ...quoteMissing, isMissing: (value) => toList(value).length === 0 },
  }),
  messageBox: field(boxName, 'ERR_INVALID_MESSAGE_BOX', { missing: quoteMissing }),
})

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

export const setPermission = route({
  method: 'post',
  path: '/permissions/set',
  id: 'setPermission',
  tag: 'Permissions',
  summary: "Set a rule: a box's price per message",
  description:
    'Sets what one sender, or all senders, pay to write to a box of the caller. Replaces an ' +
    'existing rule. A rule for one sender wins over the rule for all senders. ' +
    'If no rule applies, messages are free.',
  input: ruleRequest,
  examples: {
    charge: { messageBox: 'letters', recipientFee: 10 },
    block: { messageBox: 'letters', recipientFee: -1, sender: ALICE },
  },
  output: {
    description: 'The rule is in force.',
    schema: success({ description: ABOUT }),
    examples: {
      charge: {
        status: 'success',
        description: 'Every sender pays 10 satoshis for each message to "letters".',
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
  sample: "await client.setMessageBoxPermission({ messageBox: 'letters', recipientFee: 10 }, host)",
  handler:
    ({ permissions }: { permissions: Permissions }) =>
    async ({ identityKey: recipient }, rule) => {
      const { sender, recipientFee, messageBox } = rule
      await permissions.set({ recipient, ...rule })
      return {
        status: 'success',
        description: `${sender ?? 'Every sender'} ${describeFee(recipientFee)} "${messageBox}".`,
      }
    },
})

export const getPermission = route({
  method: 'get',
  path: '/permissions/get',
  id: 'getPermission',
  tag: 'Permissions',
  summary: 'Get a rule',
  description:
    "Returns the caller's rule for this sender, or for all senders if no sender is named. If a " +
    'sender has no rule, the rule for all senders may apply. ' +
    '`GET /permissions/quote` returns the price that applies to a sender.',
  input: ruleQuery,
  examples: {
    sender: { messageBox: 'letters', sender: ALICE },
    all: { messageBox: 'letters' },
  },
  output: {
    description: 'The rule, or null if there is none.',
    schema: success({ description: ABOUT, permission: nullable(exactly(RULE)) }),
    examples: {
      rule: { status: 'success', description: `The rule for ${ALICE}.`, permission: EXAMPLE },
      none: {
        status: 'success',
        description: 'There is no rule for all senders.',
        permission: null,
      },
    },
  },
  errors: ['ERR_MISSING_PARAMETERS', 'ERR_INVALID_PUBLIC_KEY', 'ERR_INVALID_MESSAGE_BOX'],
  sample: `const recipient = await client.getIdentityKey()
console.log(await client.getMessageBoxPermission({ recipient, messageBox: 'letters' }, host))`,
  handler:
    ({ permissions }: { permissions: Permissions }) =>
    async ({ identityKey: recipient }, { messageBox, sender }) => {
      const permission = await permissions.get(recipient, messageBox, sender)
      const about = sender ?? 'all senders'
      return {
        status: 'success',
        description:
          permission === null ? `There is no rule for ${about}.` : `The rule for ${about}.`,
        permission,
      }
    },
})

export const listPermissions = route({
  method: 'get',
  path: '/permissions/list',
  id: 'listPermissions',
  tag: 'Permissions',
  summary: 'List rules',
  description:
    "Lists the caller's rules, all or those of one box, ordered by box. " +
    'Within a box the rule for all senders comes first.',
  input: rulesQuery,
  examples: { all: {}, box: { messageBox: 'letters', limit: 10, offset: 0 } },
  output: {
    description:
      'A page of rules, each with camel-case and snake-case fields, and the total number of rules.',
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
  errors: ['ERR_INVALID_LIMIT', 'ERR_INVALID_OFFSET', 'ERR_INVALID_MESSAGE_BOX'],
  sample: "console.log(await client.listMessageBoxPermissions({ messageBox: 'letters' }, host))",
  handler:
    ({ permissions }: { permissions: Permissions }) =>
    async ({ identityKey: recipient }, { messageBox, ...page }) => {
      const { permissions: rules, totalCount } = await permissions.list(recipient, {
        messageBox: messageBox ?? undefined,
        ...page,
      })
      return { status: 'success', permissions: rules.map(withSnakeCase), totalCount }
    },
})

export const quote = route({
  method: 'get',
  path: '/permissions/quote',
  id: 'quote',
  tag: 'Permissions',
  summary: 'Get the price of a message',
  description:
    'Returns what the caller pays to write to one or several recipients. The delivery fee goes ' +
    'to the server, once per message. With several recipients the response has a quote for each, ' +
    'and totals over the recipients that do not block the caller.',
  input: quoteQuery,
  examples: {
    one: { recipient: [BOB], messageBox: 'letters' },
    several: { recipient: [ALICE, BOB], messageBox: 'letters' },
  },
  output: {
    description: 'The quote. With several recipients, a quote for each, and totals.',
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
        description: 'The price of a message.',
        quote: { deliveryFee: 0, recipientFee: 10 },
      },
      several: {
        status: 'success',
        description: 'The price of a message to 2 recipients.',
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
  errors: [
    'ERR_MISSING_PARAMETERS',
    'ERR_TOO_MANY_RECIPIENTS',
    'ERR_INVALID_PUBLIC_KEY',
    'ERR_INVALID_MESSAGE_BOX',
  ],
  sample: `const recipient = PrivateKey.fromRandom().toPublicKey().toString()
console.log(await client.getMessageBoxQuote({ recipient, messageBox: 'letters' }, host))`,
  handler:
    ({ permissions }: { permissions: Permissions }) =>
    async ({ identityKey: sender }, { recipient: recipients, messageBox }) => {
      const quotes = await permissions.quote(sender, recipients, messageBox)
      const [{ deliveryFee, recipientFee }] = quotes as [Quote]
      if (quotes.length === 1)
        return {
          status: 'success',
          description: 'The price of a message.',
          quote: { deliveryFee, recipientFee },
        }
      return {
        status: 'success',
        description: `The price of a message to ${quotes.length} recipients.`,
        ...sumUp(quotes),
      }
    },
})

/** The delivery fee is due once for a message, however many recipients it has. */
function sumUp(quotes: Quote[]): object {
  const payable = quotes.filter(({ recipientFee }) => recipientFee !== BLOCKED)
  const deliveryFees = payable[0]?.deliveryFee ?? FREE
  const recipientFees = payable.reduce((sum, { recipientFee }) => sum + recipientFee, 0)
  return {
    quotesByRecipient: quotes,
    totals: {
      deliveryFees,
      recipientFees,
      totalForPayableRecipients: deliveryFees + recipientFees,
    },
    blockedRecipients: quotes
      .filter(({ recipientFee }) => recipientFee === BLOCKED)
      .map(({ recipient }) => recipient),
  }
}

function describeFee(fee: number): string {
  if (fee === BLOCKED) return 'is blocked from'
  return fee === FREE ? 'may write to' : `pays ${fee} satoshis for each message to`
}

/** The released client reads the fields in snake case. */
function withSnakeCase(permission: Permission): object {
  const { messageBox, recipientFee, createdAt, updatedAt } = permission
  return {
    ...permission,
    message_box: messageBox,
    recipient_fee: recipientFee,
    created_at: createdAt,
    updated_at: updatedAt,
  }
}
