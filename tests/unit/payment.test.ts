import { PrivateKey } from '@bsv/sdk'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ApiError } from '../../src/contract/errors'
import {
  assignOutputs,
  parseOutput,
  parsePayment,
  type AssignedOutput,
} from '../../src/payments/payment'

const [first, second, third, stranger] = Array.from({ length: 4 }, () =>
  PrivateKey.fromRandom().toPublicKey().toString(),
) as [string, string, string, string]

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as ApiError).code
  }
  return 'none'
}

describe('parsePayment', () => {
  test('accepts the same bytes as numbers and as base64', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
        const tx = Buffer.from(bytes)
        expect(parsePayment({ tx: [...tx] }).tx.equals(tx)).toBe(true)
        expect(parsePayment({ tx: tx.toString('base64') }).tx.equals(tx)).toBe(true)
      }),
    )
  })

  test.each([undefined, {}, { tx: null }, { tx: '' }])(
    'rejects %j without a transaction',
    (fields) => {
      expect(codeOf(() => parsePayment(fields))).toBe('ERR_MISSING_PAYMENT_TX')
    },
  )

  test.each([
    [[]],
    [[256]],
    [[-1]],
    [[1.5]],
    [['1']],
    [[null]],
    [{ 0: 1 }],
    ['no base64!'],
    [7],
    [true],
  ])('rejects %j as a transaction', (tx) => {
    expect(codeOf(() => parsePayment({ tx }))).toBe('ERR_INVALID_PAYMENT')
  })

  test('rejects megabytes of base64 padding quickly', () => {
    const since = performance.now()
    expect(codeOf(() => parsePayment({ tx: `AAAA${'='.repeat(8_000_000)}x` }))).toBe(
      'ERR_INVALID_PAYMENT',
    )
    expect(performance.now() - since).toBeLessThan(1000)
  })

  test('keeps only a description and labels that wallets accept', () => {
    const passed = (description: unknown, labels: unknown): object => {
      const parsed = parsePayment({ tx: [1], description, labels })
      return {
        ...('description' in parsed && { description: parsed.description }),
        ...('labels' in parsed && { labels: parsed.labels }),
      }
    }
    expect(passed('Thank you', ['gift'])).toEqual({ description: 'Thank you', labels: ['gift'] })
    for (const description of ['four', 'é'.repeat(1001), 5, null])
      expect(passed(description, undefined)).toEqual({})
    for (const labels of [[''], ['x'.repeat(301)], [1], 'gift', Array(51).fill('x')])
      expect(passed(undefined, labels)).toEqual({})
  })

  test('rejects more than 200 outputs', () => {
    expect(parsePayment({ tx: [1], outputs: Array(200).fill({}) }).outputs).toHaveLength(200)
    expect(codeOf(() => parsePayment({ tx: [1], outputs: Array(201).fill({}) }))).toBe(
      'ERR_INVALID_PAYMENT',
    )
  })
})

describe('parseOutput', () => {
  const remittance = {
    derivationPrefix: 'AAAA',
    derivationSuffix: 'AAA=',
    senderIdentityKey: first,
  }
  const output = (changes: object): Record<string, unknown> => ({
    outputIndex: 0,
    protocol: 'wallet payment',
    paymentRemittance: { ...remittance, ...changes },
  })

  test('accepts the remittance of BRC-29', () => {
    expect(parseOutput(output({}))).toEqual({ outputIndex: 0, ...remittance })
  })

  test.each([
    '',
    'AAA',
    'A===',
    'AA A',
    'AAAA ',
    'é'.repeat(4),
    'AAAA\u0000AAA',
    '\ud800AAA',
    'A'.repeat(400),
    5,
    null,
  ])('rejects the derivation %j, which wallets do not accept', (derivationPrefix) => {
    expect(codeOf(() => parseOutput(output({ derivationPrefix })))).toBe('ERR_PAYMENT_NOT_TO_PAYEE')
  })
})

describe('assignOutputs', () => {
  const output = (outputIndex: number, recipientIdentityKey?: string): Record<string, unknown> => ({
    outputIndex,
    ...(recipientIdentityKey !== undefined && {
      customInstructions: JSON.stringify({ recipientIdentityKey }),
    }),
  })
  const assign = (
    outputs: Array<Record<string, unknown>>,
    deliveryFee: number,
    recipientFees: number[],
  ): AssignedOutput[] =>
    assignOutputs(
      { tx: Buffer.of(1), outputs },
      { deliveryFee, recipientFees },
      [first, second, third].slice(0, recipientFees.length),
    )
  const payees = (assigned: AssignedOutput[]): unknown[] =>
    assigned.map(({ payee, output }) => [output.outputIndex, payee])

  test('outputs go to the server if it charges, then to each charging recipient', () => {
    expect(payees(assign([output(0), output(1), output(2)], 10, [5, 0, 7]))).toEqual([
      [0, 'server'],
      [1, 0],
      [2, 2],
    ])
    expect(payees(assign([output(0), output(1)], 0, [5, 0, 7]))).toEqual([
      [0, 0],
      [1, 2],
    ])
  })

  test('an output that names its recipient goes to it, at any position', () => {
    expect(payees(assign([output(0), output(1, third), output(2, first)], 10, [5, 0, 7]))).toEqual([
      [0, 'server'],
      [1, 2],
      [2, 0],
    ])
    expect(payees(assign([output(0, third), output(1)], 0, [5, 0, 7]))).toEqual([
      [0, 2],
      [1, 0],
    ])
  })

  test('extra outputs go to a single recipient; among several they are rejected', () => {
    expect(payees(assign([output(0), output(1)], 0, [5]))).toEqual([
      [0, 0],
      [1, 0],
    ])
    expect(codeOf(() => assign([output(0), output(1), output(2)], 0, [5, 7]))).toBe(
      'ERR_PAYMENT_NOT_TO_PAYEE',
    )
  })

  test('each kind of missing output has its own error code', () => {
    expect(codeOf(() => assign([], 10, [0]))).toBe('ERR_MISSING_DELIVERY_OUTPUT')
    expect(codeOf(() => assign([output(0)], 10, [5]))).toBe('ERR_INSUFFICIENT_OUTPUTS')
    expect(codeOf(() => assign([output(0, second), output(1, second)], 0, [5, 7]))).toBe(
      'ERR_MISSING_RECIPIENT_OUTPUTS',
    )
  })

  test('the error repeats nothing from the output', () => {
    for (const outputIndex of [{ toString: 1, valueOf: 1 }, 'x'.repeat(1_000_000)]) {
      expect(() =>
        assign([{ outputIndex, customInstructions: { recipientIdentityKey: 1 } }], 0, [5]),
      ).toThrow(/^"outputs"\[0\] does not pay the server or any recipient/)
    }
  })

  test('rejects an output for an invalid key or for a key that is no recipient', () => {
    expect(
      codeOf(() =>
        assign([{ ...output(0), customInstructions: { recipientIdentityKey: 'nobody' } }], 0, [5]),
      ),
    ).toBe('ERR_PAYMENT_NOT_TO_PAYEE')
    expect(codeOf(() => assign([output(0), output(1, stranger), output(2)], 0, [5, 7]))).toBe(
      'ERR_PAYMENT_NOT_TO_PAYEE',
    )
  })
})
