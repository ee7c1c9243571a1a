/** The longer texts of the OpenAPI document. */
import type { AUTH_HEADERS } from '../auth/brc104'
import type { Info } from '../operator/info'
import { formatNumber } from '../lib/format'

export type DocumentedInfo = Pick<Info, 'version' | 'hostingDomain' | 'limits' | 'deliveryFees'>

export const AUTHENTICATION_TEXT = [
  'The client and the server sign every message (BRC-103 over BRC-104). ' +
    '@bsv/message-box-client and the AuthFetch of @bsv/sdk do this.',
  'A client starts a session with `POST /.well-known/auth`, at the root of the server. It sends ' +
    "its identity key and a fresh nonce. The response's `initialNonce` identifies the session, " +
    'which is valid as long as the server keeps its key. After a 401 the client needs a new ' +
    'handshake.',
  'Every request of the session has the headers `x-bsv-auth-version` (0.1), ' +
    '`x-bsv-auth-identity-key`, `x-bsv-auth-nonce` (fresh for each request), ' +
    '`x-bsv-auth-your-nonce` (the `initialNonce` of the session), `x-bsv-auth-request-id` ' +
    '(32 random bytes in base64) and `x-bsv-auth-signature` (DER, in hex).',
  'The signed data is the bytes of the request id, then method, path, search, headers and body. ' +
    'Each of these follows its length as a Bitcoin varint; an absent part has the length -1. ' +
    'The signed headers are `content-type` without its parameters, `authorization`, and ' +
    '`x-bsv-*` other than `x-bsv-auth-*`, sorted. The signed body is the bytes that are sent.',
  'The key of a signature is derived (BRC-42, BRC-43) with the protocol ' +
    '`[2, "auth message signature"]`, the key id `{nonce} {your nonce}`, and the other side as ' +
    'the counterparty.',
  'The server signs responses in the same way, errors too: request id, status, signed headers, ' +
    'body. A 401 with the code `UNAUTHORIZED` is not signed.',
].join('\n\n')

export const AUTH_HEADER_TEXTS: Record<
  Exclude<keyof typeof AUTH_HEADERS, 'messageType'>,
  string
> = {
  version: 'The version of BRC-103: 0.1.',
  identityKey: 'The identity key of the caller. The session belongs to it.',
  nonce: 'A fresh nonce of the caller. The server rejects a repeated nonce.',
  yourNonce: "The server's nonce from the handshake. It identifies the session.",
  requestId: '32 random bytes in base64.',
  signature: 'The signature of the request: DER, in hex.',
}

/** The description of the API as a whole. */
export function introduce({ limits, deliveryFees }: DocumentedInfo): string {
  const { page, rates, quotas, concurrentRequests, retentionDays } = limits
  const { inbox, sender } = quotas
  const fees = Object.entries(deliveryFees).map(([box, fee]) => `${fee} satoshis into "${box}"`)
  return [
    'A client sends a message to an identity key, into a named box. The owner of the key lists ' +
      'the box and acknowledges what it has read, which deletes it. Live messages use a socket: ' +
      'see `/asyncapi.json`.',
    'Bodies are JSON in UTF-8. The server ignores fields that are not described here. An error ' +
      'is `{"status": "error", "code", "description"}`. Clients decide by the code; the ' +
      'description is text for people. An unknown path is 404 `ERR_NOT_FOUND`. ' +
      'A known path with another method is 405 `ERR_METHOD_NOT_ALLOWED`. CORS allows any ' +
      'origin, because signatures protect the requests.',
    'JSON Schema cannot express some rules: a key must be on the curve, a text must not have ' +
      'unpaired surrogates, a message has as many ids as recipients, and two spellings of one ' +
      'key are the same recipient. Some lengths are in UTF-16 units, as their descriptions say.',
    [
      'Limits of this server:',
      `- body of a request: ${formatNumber(limits.bodyBytes)} bytes`,
      `- recipients of a message: ${limits.recipients}`,
      `- page of a list: ${formatNumber(page.messages)} messages, ` +
        `about ${formatNumber(page.bytes)} bytes of bodies`,
      `- requests per minute: ${orOff(rates.address)} from one address, ` +
        `${orOff(rates.identity)} from one identity`,
      `- concurrent requests: ${orOff(concurrentRequests)}`,
      `- stored for one recipient: ${orOff(inbox.messages)} messages, ${orOff(inbox.bytes)} bytes`,
      `- stored from one sender: ${orOff(sender.messages)} messages, ${orOff(sender.bytes)} bytes`,
      '- a message is kept until it is acknowledged' +
        (retentionDays === null ? '' : `, or for ${retentionDays} days`),
    ].join('\n'),
    fees.length === 0
      ? 'This server charges nothing for deliveries.'
      : `This server charges for deliveries: ${fees.join(', ')}.`,
  ].join('\n\n')
}

function orOff(limit: number | null): string {
  return limit === null ? 'any number' : formatNumber(limit)
}
