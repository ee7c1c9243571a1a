import { describe, expect, test } from '@jest/globals'
import { PrivateKey, PublicKey } from '@bsv/sdk'
import fc from 'fast-check'
import { ApiError } from '../../src/contract/errors'
import { acknowledgeMessage } from '../../src/routes/acknowledgeMessage'
import { listMessages } from '../../src/routes/listMessages'
import { sendMessage } from '../../src/routes/sendMessage'
import { boxName, take } from '../../src/contract/schema'
import { toListedBody } from '../../src/contract/listedBody'
import { toIdentityKey } from '../../src/contract/primitives'

const { parse: parseSendRequest } = sendMessage.input
const { parse: parseListRequest } = listMessages.input
const { parse: parseAcknowledgeRequest } = acknowledgeMessage.input
const parseBoxName = (value: unknown): string => take(boxName, value, 'ERR_INVALID_MESSAGEBOX')

const key = PrivateKey.fromRandom().toPublicKey()
const BOB = key.toString()

function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return error instanceof ApiError ? error.code : String(error)
  }
  return 'no error'
}

/** How the released client reads a listed body: unwraps a payment wrapper, else keeps the text. */
function unwrap(listed: string): unknown {
  try {
    const parsed: unknown = JSON.parse(listed)
    return typeof parsed === 'object' &&
      parsed !== null &&
      'message' in parsed &&
      !Array.isArray(parsed)
      ? parsed.message
      : listed
  } catch {
    return listed
  }
}

const send = (message: object): ReturnType<typeof parseSendRequest> => {
  return parseSendRequest({
    message: { recipient: BOB, messageBox: 'inbox', messageId: 'id', body: 'hello', ...message },
  })
}

describe('toIdentityKey', () => {
  test('accepts the same 33 bytes as the SDK', () => {
    const bytes = fc.tuple(
      fc.constantFrom('02', '03', '02', '04', '00', '05'),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
    )
    fc.assert(
      fc.property(bytes, ([prefix, x]) => {
        const hex = `${prefix}${Buffer.from(x).toString('hex')}`
        expect(toIdentityKey(hex)).toBe(onCurve(hex) ? hex : undefined)
      }),
      { numRuns: 200 },
    )
  })

  test('converts every spelling of a key to the canonical one', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: 2n ** 255n }),
        fc.array(fc.boolean(), { minLength: 130, maxLength: 130 }),
        (scalar, upper) => {
          const point = PrivateKey.fromHex(scalar.toString(16).padStart(64, '0')).toPublicKey()
          for (const hex of [point.toString(), point.encode(false, 'hex') as string]) {
            const spelt = [...hex]
              .map((digit, index) => (upper[index] === true ? digit.toUpperCase() : digit))
              .join('')
            expect(toIdentityKey(spelt)).toBe(point.toString())
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  test.each([
    undefined,
    null,
    0,
    2n,
    {},
    [],
    [BOB],
    Buffer.from(BOB, 'hex'),
    '',
    ' ',
    BOB.slice(1),
    `${BOB}0`,
    ` ${BOB}`,
    `${BOB}\n`,
    `0x${BOB}`,
    `${BOB.slice(0, -1)}g`,
    `${BOB.slice(0, -1)}ａ`,
    '00',
    `04${'0'.repeat(128)}`,
    `02${'f'.repeat(64)}`,
  ])('rejects %p', (value) => {
    expect(toIdentityKey(value)).toBeUndefined()
  })
})

function onCurve(hex: string): boolean {
  try {
    return PublicKey.fromString(hex).validate() && PublicKey.fromString(hex).toString() === hex
  } catch {
    return false
  }
}

describe('names', () => {
  test.each([
    ['inbox', 'inbox'],
    ['  a b\t', 'a b'],
    ['\u00a0é\u2003', 'é'],
    ['\u0000', '\u0000'],
    ['x'.repeat(255), 'x'.repeat(255)],
    [` ${'📦'.repeat(255)} `, '📦'.repeat(255)],
    ['e\u0301', 'e\u0301'],
    ['__proto__', '__proto__'],
  ])('%j names the box %j', (value, name) => {
    expect(parseBoxName(value)).toBe(name)
  })

  test.each([
    '',
    ' ',
    '\n\t',
    'x'.repeat(256),
    '📦'.repeat(256),
    `${'📦'.repeat(254)}xx`,
    '\ud800',
    '\udc00',
    `${'x'.repeat(254)}📦x`,
    5,
    null,
    undefined,
    {},
    [],
  ])('%j is not a box', (value) => {
    expect(codeOf(() => parseBoxName(value))).toBe('ERR_INVALID_MESSAGEBOX')
  })

  test('any text is rejected or yields a name that fits the database', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 300 }),
          fc.string({ unit: 'grapheme', maxLength: 300 }),
          fc.string(),
        ),
        (text) => {
          const valid = text.trim() !== '' && [...text.trim()].length <= 255
          const code = codeOf(() => {
            const name = parseBoxName(text)
            expect(name).toBe(text.trim())
            expect(Buffer.from(name).length).toBeLessThanOrEqual(1020)
            expect(Buffer.from(name).toString()).toBe(name)
          })
          expect(code).toBe(valid ? 'no error' : 'ERR_INVALID_MESSAGEBOX')
        },
      ),
    )
  })
})

describe('a message to send', () => {
  test('is parsed into canonical keys with one id each', () => {
    const other = PrivateKey.fromRandom().toPublicKey().toString()
    expect(
      send({
        recipients: [BOB.toUpperCase(), other],
        messageId: ['a', 'b'],
        messageBox: ' box ',
        body: { a: 1 },
        extra: true,
      }),
    ).toEqual({
      recipients: [BOB, other],
      messageIds: ['a', 'b'],
      messageBox: 'box',
      body: '{"a":1}',
      isText: false,
    })
  })

  test.each([
    [{ recipients: null }, [BOB]],
    [{ recipients: undefined }, [BOB]],
    [{ recipients: BOB }, [BOB]],
    [{ recipient: [BOB] }, [BOB]],
    [{ recipient: 'x', recipients: [BOB] }, [BOB]],
  ])('has the recipients of %j', (message, recipients) => {
    expect(send(message).recipients).toEqual(recipients)
  })

  test('as a text, is listed so that the client reads it as it was sent', () => {
    const json = fc.json().map((text) => `{"message":${text}}`)
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      json,
      json.map((text) => ` \n${text}\t`),
      json.map((text) => text.replace('m', '\\u006d')),
      fc.constant('{"message":'),
    )
    fc.assert(
      fc.property(
        texts.filter((text) => text.trim() !== ''),
        (text) => {
          const sent = send({ body: text })
          expect([sent.body, unwrap(toListedBody(sent))]).toEqual([text, text])
        },
      ),
      { numRuns: 500 },
    )
  })

  test('as an object, is listed so that the client reads it as it was sent', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('message', 'payment', '__proto__', 'a'), fc.jsonValue()),
        (fields) => {
          const sent = send({ body: fields })
          expect(sent.body).toBe(JSON.stringify(fields))
          expect(unwrap(toListedBody(sent))).toEqual(
            Object.hasOwn(fields, 'message') ? JSON.parse(sent.body) : sent.body,
          )
        },
      ),
    )
  })

  test('has errors that name the recipient or the count', () => {
    expect(() => send({ recipients: [BOB, 'x'], messageId: ['a', 'b'] })).toThrow(/^Recipient 1 /)
    expect(() => send({ messageId: ['a', 'b'] })).toThrow('1 recipients and 2 message ids')
    expect(() =>
      send({
        recipients: Array.from({ length: 101 }, () => BOB),
        messageId: Array.from({ length: 101 }, () => 'a'),
      }),
    ).toThrow('101')
  })
})

test.each([
  [{ messageBox: ' box ' }, { messageBox: 'box', limit: 1000, offset: 0 }],
  [
    { messageBox: 'box', limit: 1, offset: 5 },
    { messageBox: 'box', limit: 1, offset: 5 },
  ],
  [
    { messageBox: 'box', skip: 5 },
    { messageBox: 'box', limit: 1000, offset: 5 },
  ],
  [
    { messageBox: 'box', skip: null },
    { messageBox: 'box', limit: 1000, offset: 0 },
  ],
  [
    { messageBox: 'box', offset: 0, skip: 5 },
    { messageBox: 'box', limit: 1000, offset: 0 },
  ],
])('parses the list request %j', (request, wanted) => {
  expect(parseListRequest(request)).toEqual(wanted)
})

test('ids to acknowledge are deduplicated; invalid ids are dropped', () => {
  const long = 'x'.repeat(255)
  expect(
    parseAcknowledgeRequest({
      messageIds: ['b', 'a', 'b', '', ' ', '\ud800', `${long}x`, long, 'a '],
    }),
  ).toEqual(['b', 'a', long, 'a '])
})

test.each([parseSendRequest, parseListRequest, parseAcknowledgeRequest])(
  '%p throws only errors of the catalogue, for any input',
  (parse) => {
    const anything = fc.anything({
      withBigInt: true,
      withNullPrototype: true,
      withDate: true,
      withMap: true,
      withTypedArray: true,
    })
    const fields = fc.dictionary(
      fc.constantFrom(
        'message',
        'messageBox',
        'body',
        'recipient',
        'recipients',
        'messageId',
        'messageIds',
        'limit',
        'offset',
      ),
      anything,
    )
    fc.assert(
      fc.property(
        fc.oneof(
          anything,
          fields,
          fields.map((message) => ({ message })),
        ),
        (request) => {
          expect(codeOf(() => parse(request))).toMatch(/^(no error|ERR_[A-Z_]+)$/)
        },
      ),
      { numRuns: 500 },
    )
  },
)
