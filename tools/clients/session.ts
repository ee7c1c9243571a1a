/** Clients of the protocol that sign thousands of requests before a measurement starts. */
import { createHash, randomBytes } from 'node:crypto'
import { AUTH_HEADERS, hashRequest, hashResponse } from '../../src/auth/brc104'
import { NativeServerKey, type KeyName } from '../../src/auth/serverKey'
import { HANDSHAKE_PATH } from '../../src/contract/protocol'
import { Secret } from '../../src/lib/secret'
import { Connection, type Answer } from './connection'

export function newWallet(): NativeServerKey {
  return new NativeServerKey(new Secret(randomBytes(32).toString('hex')))
}

/** The request of a handshake, as the released client sends it. */
export function handshakeRequest(
  identityKey: string,
  initialNonce = randomBytes(48).toString('base64'),
): Buffer {
  const requestedCertificates = { certifiers: [], types: {} }
  return frame(
    HANDSHAKE_PATH,
    {
      version: '0.1',
      messageType: 'initialRequest',
      identityKey,
      initialNonce,
      requestedCertificates,
    },
    {},
  )
}

/** A session between one identity and one server. */
export class Session {
  private constructor(
    readonly wallet: NativeServerKey,
    private readonly clientNonce: string,
    private readonly serverNonce: string,
    private readonly serverKey: string,
  ) {}

  /**
   * Makes a handshake, and verifies the server's signature.
   * @param localAddress the address of this machine to connect from
   */
  static async open(
    port: number,
    wallet: NativeServerKey,
    localAddress?: string,
  ): Promise<Session> {
    const clientNonce = randomBytes(48).toString('base64')
    const connection = await Connection.open(port, localAddress)
    const answer = await connection.exchange(
      handshakeRequest(wallet.identityKey, clientNonce),
      true,
    )
    connection.close()
    if (answer.status !== 200)
      throw new Error(`a handshake was answered ${answer.status}: ${answer.body.toString()}`)
    const { initialNonce, identityKey, signature } = JSON.parse(answer.body.toString()) as {
      initialNonce: string
      identityKey: string
      signature: number[]
    }
    const session = new Session(wallet, clientNonce, initialNonce, identityKey)
    const hash = createHash('sha256')
      .update(clientNonce, 'base64')
      .update(initialNonce, 'base64')
      .digest()
    if (!wallet.verifyHash(hash, Buffer.from(signature), session.#key(clientNonce, initialNonce)))
      throw new Error("a handshake's signature does not hold")
    return session
  }

  /** A whole signed POST request, with a body of JSON or bytes. The server accepts it once. */
  sign(target: string, content: object | Buffer): Buffer {
    const requestId = randomBytes(32)
    const nonce = randomBytes(32).toString('base64')
    const body = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
    const hash = hashRequest({
      requestId,
      method: 'POST',
      target,
      headers: { 'content-type': 'application/json' },
      body,
    })
    return frame(target, body, {
      [AUTH_HEADERS.version]: '0.1',
      [AUTH_HEADERS.identityKey]: this.wallet.identityKey,
      [AUTH_HEADERS.nonce]: nonce,
      [AUTH_HEADERS.yourNonce]: this.serverNonce,
      [AUTH_HEADERS.requestId]: requestId.toString('base64'),
      [AUTH_HEADERS.signature]: this.wallet
        .signHash(hash, this.#key(nonce, this.serverNonce))
        .toString('hex'),
    })
  }

  /** Whether the server signed this answer and its body for this session. */
  verifies({ status, head, body }: Answer): boolean {
    const headers = Object.fromEntries(
      head
        .split('\r\n')
        .slice(1)
        .map((line) => line.split(/: (.*)/s) as [string, string])
        .map(([name, value]) => [name.toLowerCase(), value]),
    )
    const requestId = Buffer.from(headers[AUTH_HEADERS.requestId] ?? '', 'base64')
    const signature = Buffer.from(headers[AUTH_HEADERS.signature] ?? '', 'hex')
    const hash = hashResponse({ requestId, status, headers, body })
    return this.wallet.verifyHash(
      hash,
      signature,
      this.#key(headers[AUTH_HEADERS.nonce] ?? '', this.clientNonce),
    )
  }

  #key(nonce: string, yourNonce: string): KeyName {
    return {
      protocolID: [2, 'auth message signature'],
      keyID: `${nonce} ${yourNonce}`,
      counterparty: this.serverKey,
    }
  }
}

function frame(target: string, content: object | Buffer, headers: Record<string, string>): Buffer {
  const body = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
  const lines = Object.entries({
    host: '127.0.0.1',
    'content-type': 'application/json',
    ...headers,
    'content-length': String(body.length),
  })
  const head = [
    `POST ${target} HTTP/1.1`,
    ...lines.map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ].join('\r\n')
  return Buffer.concat([Buffer.from(head), body])
}
