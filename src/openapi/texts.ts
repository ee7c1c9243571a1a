/** The longer texts of the document. */
import type { AUTH_HEADERS } from '../auth/brc104'
import type { Info } from '../operator/info'
import { formatNumber } from '../lib/format'

export type DocumentedInfo = Pick<Info, 'version' | 'hostingDomain' | 'limits' | 'deliveryFees'>

export const AUTHENTICATION_TEXT = [
  'Both sides sign every message (BRC-103 over BRC-104); @bsv/message-box-client and the AuthFetch of @bsv/sdk do all of it.',
  "A client begins with `POST /.well-known/auth`, at the root of the server: it names its identity key and a fresh nonce. The answer's `initialNonce` names the session, for as long as the server has its key; a request that is answered with 401 needs a new handshake.",
  'Every request of the session carries the headers `x-bsv-auth-version` (0.1), `x-bsv-auth-identity-key`, `x-bsv-auth-nonce` (fresh for each request), `x-bsv-auth-your-nonce` (the one that names the session), `x-bsv-auth-request-id` (32 random bytes in base64) and `x-bsv-auth-signature` (DER, in hex).',
  'What is signed: the bytes of the request id, then method, path, search, headers and body, each behind its length as a Bitcoin varint, where an absent part has the length -1. The headers are `content-type` without its parameters, `authorization`, and `x-bsv-*` other than `x-bsv-auth-*`, sorted. The body is signed as the bytes that are sent.',
  'The key of a signature is derived (BRC-42, BRC-43) with the protocol `[2, "auth message signature"]`, the key id `{nonce} {your nonce}`, and the other side as counterparty.',
  'Answers are signed in the same way, errors too: request id, status, signed headers, body. A 401 with the code UNAUTHORIZED is not.',
].join('\n\n')

export const AUTH_HEADER_TEXTS: Record<
  Exclude<keyof typeof AUTH_HEADERS, 'messageType'>,
  string
> = {
  version: 'The version of BRC-103: 0.1.',
  identityKey: 'The identity key of the caller, to which the session belongs.',
  nonce: "A fresh nonce of the caller's; a repeated one is refused.",
  yourNonce: "The server's nonce from the handshake: it names the session.",
  requestId: '32 random bytes in base64.',
  signature: 'The signature over the request: DER, in hex.',
}

/** What a reader has to know before the operations. */
export function introduce({ limits, deliveryFees }: DocumentedInfo): string {
  const { page, rates, quotas, concurrentRequests, retentionDays } = limits
  const fees = Object.entries(deliveryFees).map(([box, fee]) => `${fee} satoshis into "${box}"`)
  return [
    'A client sends a message to an identity key, into a box with a name. The owner of the key lists the box and acknowledges what it has read, which deletes it. Live messages come over a socket: see `/asyncapi.json`.',
    'Bodies are JSON in UTF-8. Fields that are not named here are passed over. An error is `{"status": "error", "code", "description"}`; clients go by the code, `description` is for people. ' +
      'An unknown path is 404 `ERR_NOT_FOUND`, another method than a path answers 405 `ERR_METHOD_NOT_ALLOWED`. Any origin may call: CORS is open, since what protects a request is its signature.',
    'A few rules are beyond JSON Schema: a key has to lie on the curve, a text holds no half of a surrogate pair, a message has as many ids as recipients, two spellings of one key are the same recipient, and some lengths are in UTF-16 units, where it is said.',
    [
      'Limits of this server:',
      `- a request's body: ${formatNumber(limits.bodyBytes)} bytes`,
      `- recipients of a message: ${limits.recipients}`,
      `- a page of a list: ${formatNumber(page.messages)} messages, about ${formatNumber(page.bytes)} bytes of bodies`,
      `- requests a minute: ${orOff(rates.address)} from one address, ${orOff(rates.identity)} from one identity; at once: ${orOff(concurrentRequests)}`,
      `- stored for one recipient: ${orOff(quotas.inbox.messages)} messages, ${orOff(quotas.inbox.bytes)} bytes; from one sender: ${orOff(quotas.sender.messages)} messages, ${orOff(quotas.sender.bytes)} bytes`,
      `- a message is kept until it is acknowledged${retentionDays === null ? '' : `, or for ${retentionDays} days`}`,
    ].join('\n'),
    fees.length === 0
      ? 'This server charges nothing for deliveries.'
      : `This server charges for deliveries: ${fees.join(', ')}.`,
  ].join('\n\n')
}

function orOff(limit: number | null): string {
  return limit === null ? 'any number' : formatNumber(limit)
}
