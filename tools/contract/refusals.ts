/** The form of every error response. */
import { expect } from '@jest/globals'
import type { Answer } from '../clients/signedRequests'

/** The CORS headers that let a page of any origin read an answer. */
export const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': '*',
  'access-control-expose-headers': '*',
  'access-control-allow-private-network': 'true',
}

/** Headers as fetch or supertest returns them. */
type ResponseHeaders = Headers | Record<string, string>

function toRecord(headers: ResponseHeaders): Record<string, string> {
  return headers instanceof Headers ? Object.fromEntries(headers) : headers
}

export function expectCors(headers: ResponseHeaders): void {
  expect(toRecord(headers)).toMatchObject({
    ...CORS,
    'access-control-allow-headers': expect.any(String),
  })
}

type Seen = Pick<Answer, 'status'> & { headers: ResponseHeaders; body: unknown }

/** An error response with exactly this code and these details. */
export function expectError(
  { status, headers, body }: Seen,
  [wantedStatus, code]: [number, string],
  details: object = {},
): void {
  expect([status, body]).toEqual([
    wantedStatus,
    { status: 'error', code, description: expect.stringMatching(/\w/), ...details },
  ])
  expect(toRecord(headers)['content-type']).toMatch(/^application\/json/)
  expectCors(headers)
}

/** An error response that repeats its description as `message`, for clients of the overlay. */
export function expectOverlayError(
  seen: Seen,
  expected: [number, string],
  details: object = {},
): void {
  const { description } = seen.body as { description?: unknown }
  expectError(seen, expected, { message: description, ...details })
}

/** An error response to an authenticated request, which the server signs. */
export function expectRefusal(
  answer: Answer,
  status: number,
  code: string,
  details: object = {},
): void {
  expectError(answer, [status, code], details)
  expect(answer.verified).toBe(true)
}
