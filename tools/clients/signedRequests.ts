/**
 * Builds BRC-104 requests, so that a test can change each part of them. The framing is independent
 * of the server's code. Signatures are native: the SDK takes ten times as long for the same bytes.
 */
import { PrivateKey, Utils } from '@bsv/sdk'
import { createHash, randomBytes } from 'node:crypto'
import { NativeServerKey, type KeyName } from '../../src/auth/serverKey'
import { Secret } from '../../src/lib/secret'
import { assertStrict, assertStrictAnswer } from '../contract/strict'

export interface HandSession {
  origin: string
  wallet: NativeServerKey
  identityKey: string
  clientNonce: string
  serverNonce: string
  serverKey: string
}

export interface HandRequest {
  method?: string
  /** Path and search. */
  target: string
  /** Sent unchanged. The signature covers those that BRC-104 signs. */
  headers?: Record<string, string>
  body?: string | Buffer
}

export interface PreparedRequest {
  url: string
  init: { method: string; headers: Record<string, string>; body?: string | Buffer }
}

/** Makes a handshake as the SDK's client does. */
export async function handshake(
  origin: string,
  key: PrivateKey = PrivateKey.fromRandom(),
): Promise<HandSession> {
  const wallet = walletOf(key)
  const { identityKey } = wallet
  const clientNonce = randomBytes(48).toString('base64')
  const response = await fetch(`${origin}/.well-known/auth`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      version: '0.1',
      messageType: 'initialRequest',
      identityKey,
      initialNonce: clientNonce,
    }),
  })
  const answer = (await response.json()) as { initialNonce: string; identityKey: string }
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

export function walletOf(key: PrivateKey): NativeServerKey {
  return new NativeServerKey(new Secret(key.toHex().padStart(64, '0')))
}

/** Signs a request. `signed` replaces parts of the signed bytes, to make an invalid signature. */
export async function sign(
  session: HandSession,
  request: HandRequest,
  signed: Partial<HandRequest> = {},
): Promise<PreparedRequest> {
  const requestId = randomBytes(32)
  const nonce = randomBytes(32).toString('base64')
  const signature = session.wallet.signHash(
    sha256(framedRequest(requestId, { ...request, ...signed })),
    keyOf(session, `${nonce} ${session.serverNonce}`),
  )
  return {
    url: `${session.origin}${request.target}`,
    init: {
      method: request.method ?? 'POST',
      headers: {
        ...request.headers,
        'x-bsv-auth-version': '0.1',
        'x-bsv-auth-identity-key': session.identityKey,
        'x-bsv-auth-nonce': nonce,
        'x-bsv-auth-your-nonce': session.serverNonce,
        'x-bsv-auth-request-id': requestId.toString('base64'),
        'x-bsv-auth-signature': signature.toString('hex'),
      },
      ...(request.body !== undefined && { body: request.body }),
    },
  }
}

export interface Answer {
  status: number
  body: Record<string, unknown>
  headers: Headers
  /** Whether the response has a valid signature for this session. */
  verified: boolean
}

export async function submit(
  session: HandSession,
  { url, init }: PreparedRequest,
): Promise<Answer> {
  const response = await fetch(url, init as RequestInit)
  const bytes = Buffer.from(await response.arrayBuffer())
  if (Buffer.from(session.clientNonce, 'base64').length === 48) assertStrictAnswer(response, bytes)
  return {
    status: response.status,
    body: JSON.parse(bytes.toString() === '' ? '{}' : bytes.toString()),
    headers: response.headers,
    verified: verifyResponse(session, response, bytes),
  }
}

/** Signs and submits JSON to a path. */
export async function post(session: HandSession, target: string, body: unknown): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return await submit(
    session,
    await sign(session, { target, headers: { 'content-type': 'application/json' }, body: text }),
  )
}

export function framedRequest(
  requestId: Buffer,
  { method = 'POST', target, headers = {}, body }: HandRequest,
): Buffer {
  const parts: Buffer[] = [requestId]
  const [path, search] = target.split(/(?=\?)/)
  for (const part of [method, path, search])
    writePart(parts, part === undefined ? undefined : Buffer.from(part))
  writeHeaders(
    parts,
    Object.entries(headers)
      .filter(
        ([name]) =>
          name === 'content-type' || name === 'authorization' || name.startsWith('x-bsv-'),
      )
      .map(([name, value]) => [
        name,
        name === 'content-type' ? value.split(';')[0]!.trim() : value,
      ]),
  )
  writePart(parts, body === undefined || body.length === 0 ? undefined : Buffer.from(body))
  return Buffer.concat(parts)
}

function verifyResponse(session: HandSession, response: Response, body: Buffer): boolean {
  const header = (name: string): string => response.headers.get(`x-bsv-auth-${name}`) ?? ''
  if (header('signature') === '') return false
  const parts = [Buffer.from(header('request-id'), 'base64'), varInt(response.status)]
  writeHeaders(
    parts,
    [...response.headers].filter(
      ([name]) =>
        name === 'authorization' || (name.startsWith('x-bsv-') && !name.startsWith('x-bsv-auth')),
    ) as Array<[string, string]>,
  )
  parts.push(varInt(body.length), body)
  try {
    return (
      session.wallet.verifyHash(
        sha256(Buffer.concat(parts)),
        Buffer.from(header('signature'), 'hex'),
        keyOf(session, `${header('nonce')} ${session.clientNonce}`),
      ) &&
      header('your-nonce') === session.clientNonce &&
      header('identity-key') === session.serverKey
    )
  } catch {
    return false
  }
}

function keyOf({ serverKey }: HandSession, keyID: string): KeyName {
  return { protocolID: [2, 'auth message signature'], keyID, counterparty: serverKey }
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

function varInt(value: number): Buffer {
  return Buffer.from(new Utils.Writer().writeVarIntNum(value).toArray())
}

function writePart(parts: Buffer[], part: Buffer | undefined): void {
  parts.push(varInt(part === undefined ? -1 : part.length))
  if (part !== undefined) parts.push(part)
}

function writeHeaders(parts: Buffer[], headers: Array<[string, string]>): void {
  parts.push(varInt(headers.length))
  for (const [name, value] of headers.sort(([a], [b]) => a.localeCompare(b))) {
    writePart(parts, Buffer.from(name))
    writePart(parts, Buffer.from(value))
  }
}
