import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { JsonPage } from '../../src/contract/jsonPage'

const SENDER = `02${'ab'.repeat(32)}`
const CREATED = '2026-11-27T00:00:00.000Z'
const UPDATED = '2026-11-28T00:00:00.000Z'

interface Text {
  messageId: string
  body: string
}

// The databases hold UTF-8, which has no lone surrogates.
const text = fc.string({ unit: 'binary' }).map((any) => Buffer.from(any).toString())
const awkward = fc.stringMatching(/^[\u0000-\u001f"\\\u007f\u2028é€😀]*$/u)
const messages = fc.array(
  fc.record({ messageId: fc.oneof(text, awkward), body: fc.oneof(text, awkward) }),
)

/** Adds messages until one does not fit. @returns the answer */
function write(texts: Text[], maxBytes: number, expectedBytes: number): Buffer {
  const page = new JsonPage(maxBytes, expectedBytes, texts.length)
  for (const { messageId, body } of texts) {
    const added = page.add({
      messageId: Buffer.from(messageId),
      body: Buffer.from(body),
      sender: SENDER,
      createdAt: CREATED,
      updatedAt: UPDATED,
    })
    if (!added) break
  }
  return page.finish({ limit: page.count })
}

function expected(texts: Text[]): string {
  return JSON.stringify({
    status: 'success',
    messages: texts.map(({ messageId, body }) => ({
      messageId,
      body,
      sender: SENDER,
      created_at: CREATED,
      updated_at: UPDATED,
      createdAt: CREATED,
      updatedAt: UPDATED,
    })),
    limit: texts.length,
  })
}

test('a page is what JSON.stringify writes, whatever size was expected', () => {
  fc.assert(
    fc.property(messages, fc.nat(2000), (texts, expectedBytes) => {
      expect(write(texts, 1e6, expectedBytes).toString()).toBe(expected(texts))
    }),
  )
})

test('a page has as many messages as fit, but the first one at any size', () => {
  fc.assert(
    fc.property(messages, fc.integer({ min: 300, max: 3000 }), (texts, maxBytes) => {
      const answer = write(texts, maxBytes, 0)
      const { limit: count } = JSON.parse(answer.toString()) as { limit: number }
      expect(answer.toString()).toBe(expected(texts.slice(0, count)))
      if (texts.length > 0) expect(count).toBeGreaterThan(0)
      if (count > 1) expect(answer.length).toBeLessThanOrEqual(maxBytes)
      // What was left out would not have fitted, with room for the fields behind the messages.
      if (count < texts.length)
        expect(Buffer.byteLength(expected(texts.slice(0, count + 1)))).toBeGreaterThan(
          maxBytes - 400,
        )
    }),
  )
})
