/** A client for load. Its signatures are native, and it never repeats a request by itself. */
import { PrivateKey } from '@bsv/sdk'
import { randomBytes } from 'node:crypto'
import { AUTH_HEADERS, hashRequest, hashResponse } from '../../src/auth/brc104'
import type { NativeServerKey, KeyName } from '../../src/auth/serverKey'
import type { Caller as AuthenticatedCaller } from '../../src/contract/protocol'
import type { Mailbox } from '../../src/mailbox'
import { handshake, walletOf, type HandSession } from './signedRequests'

export interface Answer {
  status: number
  body: Record<string, unknown>
}

const ANSWER_TIMEOUT_MS = 30_000

export class Caller {
  readonly #wallet: NativeServerKey

  private constructor(
    private readonly session: HandSession,
    private readonly key: PrivateKey,
  ) {
    this.#wallet = walletOf(key)
  }

  /** Makes the only handshake of this client. */
  static async connect(origin: string): Promise<Caller> {
    const key = PrivateKey.fromRandom()
    return new Caller(await handshake(origin, key), key)
  }

  /** The same client, in the same session, at another node. */
  at(origin: string): Caller {
    return new Caller({ ...this.session, origin }, this.key)
  }

  get identityKey(): string {
    return this.session.identityKey
  }

  /** Posts JSON once. Undefined without a whole answer: the result of the request is unknown. */
  async post(path: string, content: unknown): Promise<Answer | undefined> {
    const requestId = randomBytes(32)
    const init = {
      ...this.#sign(requestId, path, Buffer.from(JSON.stringify(content))),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    }
    let response: Response
    let bytes: Buffer
    try {
      response = await fetch(`${this.session.origin}${path}`, init)
      bytes = Buffer.from(await response.arrayBuffer())
    } catch {
      return undefined
    }
    if (!this.#verify(requestId, response, bytes))
      throw new Error(
        `An answer (${response.status}) is not signed: ${bytes.toString().slice(0, 300)}`,
      )
    return { status: response.status, body: JSON.parse(bytes.toString()) }
  }

  #sign(
    requestId: Buffer,
    path: string,
    body: Buffer,
  ): { method: string; headers: Record<string, string>; body: Buffer } {
    const nonce = randomBytes(32).toString('base64')
    const headers = { 'content-type': 'application/json' }
    const hash = hashRequest({ requestId, method: 'POST', target: path, headers, body })
    return {
      method: 'POST',
      body,
      headers: {
        ...headers,
        [AUTH_HEADERS.version]: '0.1',
        [AUTH_HEADERS.identityKey]: this.identityKey,
        [AUTH_HEADERS.nonce]: nonce,
        [AUTH_HEADERS.yourNonce]: this.session.serverNonce,
        [AUTH_HEADERS.requestId]: requestId.toString('base64'),
        [AUTH_HEADERS.signature]: this.#wallet
          .signHash(hash, this.#keyOf(nonce, this.session.serverNonce))
          .toString('hex'),
      },
    }
  }

  #verify(requestId: Buffer, response: Response, body: Buffer): boolean {
    const hash = hashResponse({
      requestId,
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body,
    })
    const signature = Buffer.from(response.headers.get(AUTH_HEADERS.signature) ?? '', 'hex')
    const nonce = response.headers.get(AUTH_HEADERS.nonce) ?? ''
    return this.#wallet.verifyHash(hash, signature, this.#keyOf(nonce, this.session.clientNonce))
  }

  #keyOf(nonce: string, yourNonce: string): KeyName {
    return {
      protocolID: [2, 'auth message signature'],
      keyID: `${nonce} ${yourNonce}`,
      counterparty: this.session.serverKey,
    }
  }
}

/** An authenticated identity for a test that calls the mailbox directly. */
export function callerOf(identityKey: string): AuthenticatedCaller {
  return { identityKey, address: 'test' }
}

/** A message as a list answers it. */
interface Listed {
  messageId: string
  sender: string
  body: string
}

/** The messages in a box of a server in this process, up to 1000. */
export async function messagesIn(
  mailbox: Mailbox,
  recipient: string,
  messageBox = 'inbox',
): Promise<Listed[]> {
  const { json, limit } = await mailbox.list(callerOf(recipient), {
    messageBox,
    limit: 1000,
    offset: 0,
  })
  return (JSON.parse(json.finish({ limit }).toString()) as { messages: Listed[] }).messages
}
