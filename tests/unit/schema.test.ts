/**
 * Our validators and Ajv on the document's schemas must accept the same requests. Values that JSON
 * Schema cannot judge are left out of the comparison: see `Beyond`.
 */
import { describe, expect, test } from '@jest/globals'
import { PrivateKey } from '@bsv/sdk'
import fc, { type Arbitrary } from 'fast-check'
import { ApiError } from '../../src/contract/errors'
import { OPERATIONS } from '../../src/openapi/document'
import { PAYMENT, PAYMENT_OUTPUT, parseOutput, parsePayment } from '../../src/payments/payment'
import type { JsonSchema } from '../../src/contract/schema'
import { isWellFormed, toIdentityKey, type Fields } from '../../src/contract/primitives'
import { acknowledgeMessage } from '../../src/routes/acknowledgeMessage'
import { listMessages } from '../../src/routes/listMessages'
import { sendMessage } from '../../src/routes/sendMessage'
import { registerDevice, unregisterDevice } from '../../src/routes/devices'
import { getPermission, listPermissions, quote, setPermission } from '../../src/routes/permissions'
import { ajv } from '../../tools/contract/documented'

const POINTS = Array.from({ length: 4 }, () => PrivateKey.fromRandom().toPublicKey())
const KEYS = POINTS.flatMap((point) => [
  point.toString(),
  point.toString().toUpperCase(),
  point.encode(false, 'hex') as string,
])
const LOOKS_LIKE_KEY = /^(0[23][0-9a-f]{64}|04[0-9a-f]{128})$/i

/** Values at and around every limit. */
const near: Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<unknown>(...KEYS) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>(
      'inbox',
      ' a b ',
      '\u00a0x\u2003',
      'x'.repeat(255),
      ` ${'x'.repeat(255)}`,
      '📦'.repeat(255),
      '\ufeffx',
      'ios',
      'web',
      'wallet payment',
      'AQEB',
      'AQE=',
      'AQ',
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>(
      '',
      ' ',
      '\n',
      'x'.repeat(256),
      '📦'.repeat(256),
      `02${'f'.repeat(64)}`,
      '02ab',
      'IOS',
      'AR',
      '==',
      'A',
      'x'.repeat(4096),
      'x'.repeat(4097),
      '\ud800',
      'a\udc00',
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>(
      0,
      1,
      -1,
      -2,
      1.5,
      1000,
      1001,
      -0,
      1e21,
      Number.MAX_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER + 1,
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<unknown>(
      null,
      true,
      {},
      { a: 1 },
      [],
      [''],
      ['a', 'b'],
      KEYS.slice(0, 1),
      [KEYS[0], KEYS[3]],
      [KEYS[0], KEYS[0]],
      [KEYS[0], KEYS[1]],
      ['a', 5],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      Array.from({ length: 1001 }, () => 'a'),
      Array.from({ length: 1000 }, () => 'a'),
      Array.from({ length: 101 }, () => KEYS[0]),
    ),
  },
  { weight: 1, arbitrary: fc.jsonValue() },
)

/** Objects with these fields, most of which are valid. */
function objects(valid: Record<string, unknown[]>): Arbitrary<Fields> {
  return fc.record(
    Object.fromEntries(
      Object.entries(valid).map(([name, values]) => [
        name,
        fc.oneof(
          { weight: 4, arbitrary: fc.constantFrom(...values) },
          { weight: 1, arbitrary: near },
        ),
      ]),
    ),
    { requiredKeys: [] },
  )
}

/** Whether JSON Schema cannot judge a value. */
type Beyond = (value: unknown) => boolean

/** Contains a lone surrogate or a key that is not on the curve. */
const hidden: Beyond = (value) => {
  if (typeof value === 'string')
    return (
      !isWellFormed(value) || (LOOKS_LIKE_KEY.test(value) && toIdentityKey(value) === undefined)
    )
  return typeof value === 'object' && value !== null && Object.values(value).some(hidden)
}

/** For lengths in UTF-16 units: JSON Schema counts characters beyond 16 bits differently. */
const astral: Beyond = (value) =>
  hidden(value) || /[\u{10000}-\u{10ffff}]/u.test(JSON.stringify(value))

/** The numbers of ids and recipients differ, or a recipient occurs in two spellings. */
const uneven: Beyond = (value) => {
  const { messageId, recipient, recipients } =
    (value as { message?: Record<string, unknown> } | null)?.message ?? {}
  const list = (named: unknown): unknown[] => (Array.isArray(named) ? named : [named])
  const keys = list(recipients ?? recipient).map(toIdentityKey)
  return list(messageId).length !== keys.length || new Set(keys).size !== keys.length
}

const accepts = (work: () => unknown): boolean => {
  try {
    work()
    return true
  } catch (error) {
    if (error instanceof ApiError) return false
    throw error
  }
}

function agree(
  schema: JsonSchema,
  parse: (value: never) => unknown,
  values: Arbitrary<unknown>,
  {
    beyond = hidden,
    asQuery = (value: unknown) => value,
    numRuns = 1500,
  }: { beyond?: Beyond; asQuery?: (value: unknown) => unknown; numRuns?: number } = {},
): void {
  const validate = ajv.compile(schema)
  const tally = { accepted: 0, refused: 0 }
  fc.assert(
    fc.property(values, (value) => {
      const [ours, theirs] = [
        accepts(() => parse(asQuery(value) as never)),
        validate(value) === true,
      ]
      // Only our validators can judge these values.
      if (beyond(value)) return
      tally[ours ? 'accepted' : 'refused']++
      expect({ value, accepted: theirs }).toEqual({ value, accepted: ours })
    }),
    { numRuns },
  )
  // The test proves something only if enough values are accepted and enough are rejected.
  expect(Math.min(tally.accepted, tally.refused)).toBeGreaterThan(numRuns / 50)
}

const schemaOf = (id: string): JsonSchema => {
  const { body, query } = OPERATIONS.find((operation) => operation.id === id)!
  return (body ?? query)!.schema
}

const BOXES = ['inbox', ' a b ', 'x'.repeat(255)]

describe('our validators and Ajv agree on', () => {
  test('a send', () => {
    const message = objects({
      messageBox: BOXES,
      messageId: ['id', ['id'], ['a', 'b']],
      body: ['text', { a: 1 }],
      recipient: [KEYS[0], KEYS.slice(0, 1), [KEYS[0], KEYS[3]]],
      recipients: [null, KEYS[2], [KEYS[0], KEYS[6]]],
    })
    const values = fc.record(
      { message: fc.oneof({ weight: 9, arbitrary: message }, near), payment: near },
      { requiredKeys: [] },
    )
    agree(
      schemaOf('sendMessage'),
      sendMessage.input.parse,
      fc.oneof({ weight: 20, arbitrary: values }, near),
      { beyond: (value) => hidden(value) || uneven(value), numRuns: 4000 },
    )
  })

  test('a list', () => {
    agree(
      schemaOf('listMessages'),
      listMessages.input.parse,
      objects({ messageBox: BOXES, limit: [1, 1000], offset: [0, 5], skip: [null, 3] }),
    )
  })

  test('an acknowledgement', () => {
    agree(
      schemaOf('acknowledgeMessage'),
      acknowledgeMessage.input.parse,
      fc.oneof(objects({ messageIds: [['a'], ['', 'b']] }), near),
    )
  })

  test('a rule', () => {
    agree(
      schemaOf('setPermission'),
      setPermission.input.parse,
      objects({ messageBox: BOXES, recipientFee: [-1, 0, 10], sender: [null, '', KEYS[1]] }),
    )
  })

  test('a device', () => {
    agree(
      schemaOf('registerDevice'),
      registerDevice.input.parse,
      objects({
        fcmToken: ['token', ` ${'x'.repeat(4096)} `],
        deviceId: [null, '', 'phone'],
        platform: [null, 'ios', 'android'],
      }),
      { beyond: astral },
    )
    agree(
      schemaOf('unregisterDevice'),
      unregisterDevice.input.parse,
      objects({ fcmToken: ['token'] }),
      {
        beyond: astral,
      },
    )
  })

  // A query contains texts: numbers of the document are written in digits.
  const texts = (value: unknown): unknown =>
    Object.fromEntries(
      Object.entries(value as Fields).map(([name, field]) => [
        name,
        typeof field === 'number' ? String(field) : field,
      ]),
    )
  const queried = (valid: Record<string, unknown[]>): Arbitrary<Fields> =>
    objects(valid).map((fields) => {
      return Object.fromEntries(
        Object.entries(fields).filter(
          ([, value]) =>
            value !== null &&
            !Object.is(value, -0) &&
            (typeof value === 'string' ||
              typeof value === 'number' ||
              (Array.isArray(value) &&
                value.length > 0 &&
                value.every((item) => typeof item === 'string'))),
        ),
      )
    })
  /** In a query, "5" and 5 are the same. */
  const digits: Beyond = (value) =>
    hidden(value) ||
    ['limit', 'offset'].some(
      (name) =>
        typeof (value as Fields)[name] === 'string' && /^\d/.test(String((value as Fields)[name])),
    )

  test('the query of a rule', () => {
    agree(
      schemaOf('getPermission'),
      getPermission.input.parse,
      queried({ messageBox: BOXES, sender: [KEYS[0], ''] }).filter(
        ({ messageBox }) => typeof messageBox !== 'number',
      ),
    )
  })

  test('the query of rules', () => {
    // If both names of the box are given, our validator ignores the second.
    const both: Beyond = (value) =>
      digits(value) ||
      ((value as Fields).messageBox !== undefined && (value as Fields).message_box !== undefined) ||
      ['messageBox', 'message_box'].some((name) => typeof (value as Fields)[name] === 'number')
    agree(
      schemaOf('listPermissions'),
      listPermissions.input.parse,
      queried({ messageBox: BOXES, message_box: BOXES, limit: [1, 1000], offset: [0, 7] }),
      { beyond: both, asQuery: texts },
    )
  })

  test('the query of a quote', () => {
    agree(
      schemaOf('quote'),
      quote.input.parse,
      queried({ recipient: [KEYS.slice(0, 1), KEYS.slice(0, 4)], messageBox: BOXES }).filter(
        ({ recipient, messageBox }) =>
          (recipient === undefined || Array.isArray(recipient)) && typeof messageBox !== 'number',
      ),
    )
  })

  test('a payment and its outputs', () => {
    const remittance = objects({
      derivationPrefix: ['AAAA', 'x'.repeat(396), 'AAA='],
      derivationSuffix: ['AA=='],
      senderIdentityKey: KEYS,
    })
    const output = fc.record(
      {
        outputIndex: fc.oneof(fc.constant(0), near),
        protocol: fc.oneof(fc.constant('wallet payment'), near),
        paymentRemittance: fc.oneof({ weight: 5, arbitrary: remittance }, near),
      },
      { requiredKeys: [] },
    )
    agree(PAYMENT_OUTPUT, parseOutput, output, { beyond: astral })
    // Without fees, our validator ignores invalid outputs and texts.
    agree(
      { ...PAYMENT, required: ['tx'], properties: { tx: (PAYMENT.properties as Fields).tx } },
      parsePayment,
      objects({ tx: ['AQEB', 'AQE=', 'AQ==', 'AQ', [1, 2, 255], [256], [1.5], [-1]] }),
    )
  })
})
