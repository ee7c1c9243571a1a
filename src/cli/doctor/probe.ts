/** A BRC-103 client over BRC-104 that tells whether requests and answers arrive unchanged. */
import { createHash, randomBytes } from 'node:crypto'
import { AUTH_VERSION, toBytes } from '../../auth/brc103'
import { AUTH_HEADERS, hashRequest, hashResponse } from '../../auth/brc104'
import { NativeServerKey, type KeyName } from '../../auth/serverKey'
import { HANDSHAKE_PATH } from '../../contract/protocol'
import { Secret } from '../../lib/secret'
import { toIdentityKey } from '../../contract/primitives'
import { ask, type Answer } from './web'

export type Seal = 'valid' | 'missing' | 'broken'

export interface ProbeRequest {
  method: 'GET' | 'POST'
  /** Path and query. */
  target: string
  headers?: Record<string, string>
  body?: string
}

/** BRC-103's key for a message. */
function keyName(nonce: string, yourNonce: string, counterparty: string): KeyName {
  return { protocolID: [2, 'auth message signature'], keyID: `${nonce} ${yourNonce}`, counterparty }
}

export class Probe {
  readonly #clientKey = new NativeServerKey(new Secret(randomBytes(32).toString('hex')))
  readonly #nonce = randomBytes(48).toString('base64')
  #serverKey = ''
  #serverNonce = ''

  /** @param origin scheme, host and port */
  constructor(private readonly origin: string) {}

  /** Makes a session. `seal` says whether a BRC-103 server signed the answer. */
  async handshake(): Promise<{ answer: Answer; seal: Seal }> {
    const answer = await ask(`${this.origin}${HANDSHAKE_PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        version: AUTH_VERSION,
        messageType: 'initialRequest',
        identityKey: this.#clientKey.identityKey,
        initialNonce: this.#nonce,
      }),
    })
    const { identityKey, initialNonce, signature } = answer.json
    const key = toIdentityKey(identityKey)
    if (answer.status !== 200 || key === undefined || typeof initialNonce !== 'string')
      return { answer, seal: 'missing' }
    this.#serverKey = key
    this.#serverNonce = initialNonce
    const hash = createHash('sha256')
      .update(Buffer.from(this.#nonce, 'base64'))
      .update(Buffer.from(initialNonce, 'base64'))
      .digest()
    const holds = this.#clientKey.verifyHash(
      hash,
      toBytes(signature),
      keyName(this.#nonce, initialNonce, key),
    )
    return { answer, seal: holds ? 'valid' : 'broken' }
  }

  /** Sends a signed request. `seal` says whether the answer arrived as the server signed it. */
  async request(
    { method, target, headers = {}, body = '' }: ProbeRequest,
    timeoutMs?: number,
  ): Promise<{ answer: Answer; seal: Seal }> {
    const requestId = randomBytes(32)
    const nonce = randomBytes(32).toString('base64')
    const sent: Record<string, string> = {
      ...headers,
      ...(method === 'POST' && { 'content-type': 'application/json' }),
    }
    const hash = hashRequest({ requestId, method, target, headers: sent, body: Buffer.from(body) })
    const signature = this.#clientKey.signHash(
      hash,
      keyName(nonce, this.#serverNonce, this.#serverKey),
    )
    const answer = await ask(
      `${this.origin}${target}`,
      {
        method,
        headers: {
          ...sent,
          [AUTH_HEADERS.version]: AUTH_VERSION,
          [AUTH_HEADERS.identityKey]: this.#clientKey.identityKey,
          [AUTH_HEADERS.nonce]: nonce,
          [AUTH_HEADERS.yourNonce]: this.#serverNonce,
          [AUTH_HEADERS.requestId]: requestId.toString('base64'),
          [AUTH_HEADERS.signature]: signature.toString('hex'),
        },
        ...(method === 'POST' && { body }),
      },
      timeoutMs,
    )
    return { answer, seal: this.#sealOf(answer, requestId) }
  }

  #sealOf({ status, headers, body }: Answer, requestId: Buffer): Seal {
    const [nonce, signature] = [
      headers.get(AUTH_HEADERS.nonce),
      headers.get(AUTH_HEADERS.signature),
    ]
    if (nonce === null || signature === null) return 'missing'
    const hash = hashResponse({ requestId, status, headers: Object.fromEntries(headers), body })
    return this.#clientKey.verifyHash(
      hash,
      Buffer.from(signature, 'hex'),
      keyName(nonce, this.#nonce, this.#serverKey),
    )
      ? 'valid'
      : 'broken'
  }
}
