/**
 * Calls a server as py-sdk does. Its handshake has every field, and null for an absent one. It
 * sends `{}` instead of an empty body. It makes a new handshake if the first 200 characters of a
 * 401 have the text `Session not found for nonce`.
 */
import { PrivateKey } from '@bsv/sdk'
import { randomBytes } from 'node:crypto'
import { sign, submit, walletOf, type HandSession } from './signedRequests'
import { assertStrict } from '../contract/strict'

const STALE = 'Session not found for nonce'
const SEARCHED_CHARACTERS = 200
const MAX_ATTEMPTS = 3

export interface PyClient {
  readonly identityKey: string
  readonly handshakes: number
  call: (method: string, target: string, body?: object) => Promise<Record<string, unknown>>
}

export function newPyClient(origin: string): PyClient {
  const key = PrivateKey.fromRandom()
  const wallet = walletOf(key)
  const { identityKey } = wallet
  let session: HandSession | undefined
  let handshakes = 0

  const shakeHands = async (): Promise<HandSession> => {
    handshakes++
    const half = randomBytes(16)
    const hmac = wallet.createHmac(half, {
      protocolID: [1, 'server hmac'],
      keyID: half.toString('latin1'),
      counterparty: 'self',
    })
    const clientNonce = Buffer.concat([half, hmac]).toString('base64')
    const response = await fetch(`${origin}/.well-known/auth`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        version: '0.1',
        messageType: 'initialRequest',
        identityKey,
        nonce: '',
        initialNonce: clientNonce,
        yourNonce: '',
        certificates: [],
        requestedCertificates: { certifiers: [], types: {} },
        payload: null,
        signature: null,
      }),
    })
    if (!response.ok)
      throw new Error(
        `HTTP server failed to authenticate: status ${response.status}: ${await response.text()}`,
      )
    const answer = (await response.json()) as { identityKey: string; initialNonce: string }
    assertStrict(answer)
    return {
      origin,
      wallet,
      identityKey,
      clientNonce,
      serverNonce: answer.initialNonce,
      serverKey: answer.identityKey,
    }
  }

  const call = async (
    method: string,
    target: string,
    body: object = {},
    attempt = 1,
  ): Promise<Record<string, unknown>> => {
    session ??= await shakeHands()
    const request = await sign(session, {
      method,
      target,
      ...(method !== 'GET' && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    })
    request.init.headers['x-bsv-auth-message-type'] = 'general'
    const answer = await submit(session, request)
    if (answer.verified && answer.status < 400) return answer.body
    const text = JSON.stringify(answer.body).slice(0, SEARCHED_CHARACTERS)
    if (answer.status !== 401 || !text.includes(STALE) || attempt === MAX_ATTEMPTS)
      throw new Error(`Authentication failed: ${answer.status} - ${text}`)
    session = undefined
    return await call(method, target, body, attempt + 1)
  }

  return {
    identityKey,
    get handshakes() {
      return handshakes
    },
    call,
  }
}
