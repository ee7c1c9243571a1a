/**
 * BRC-104, the framing of BRC-103 in HTTP: which bytes of a request and of a response are signed.
 * Numbers are Bitcoin varints. An absent part has the length -1.
 */
import { createHash, type Hash } from 'node:crypto'
import { writeVarint } from '../lib/varint'

/** The headers of authentication, in requests and in responses. */
export const AUTH_HEADERS = {
  version: 'x-bsv-auth-version',
  identityKey: 'x-bsv-auth-identity-key',
  nonce: 'x-bsv-auth-nonce',
  yourNonce: 'x-bsv-auth-your-nonce',
  signature: 'x-bsv-auth-signature',
  requestId: 'x-bsv-auth-request-id',
  messageType: 'x-bsv-auth-message-type',
} as const

export interface SignedRequest {
  /**
   * 32 bytes. With another length, the parts after it could be read otherwise than they were
   * signed.
   */
  requestId: Buffer
  method: string
  /** The request target as it was sent: path and query. */
  target: string
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

export interface SignedResponse {
  requestId: Buffer
  status: number
  headers: Record<string, number | string | string[] | undefined>
  body: Buffer
}

/** SHA-256 of a request's signed bytes. */
export function hashRequest({ requestId, method, target, headers, body }: SignedRequest): Buffer {
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  const search = question < 0 || question === target.length - 1 ? '' : target.slice(question)
  const hash = createHash('sha256').update(requestId)
  writeText(hash, method)
  writeText(hash, path)
  writeText(hash, search)
  writeHeaders(hash, signedRequestHeaders(headers))
  if (body.length === 0) hash.update(ABSENT)
  else hash.update(writeVarint(body.length)).update(body)
  return hash.digest()
}

/**
 * SHA-256 of a response's signed bytes. An empty body has the length 0 here, not that of an absent
 * one, as in the released clients.
 */
export function hashResponse({ requestId, status, headers, body }: SignedResponse): Buffer {
  const hash = createHash('sha256').update(requestId).update(writeVarint(status))
  writeHeaders(hash, signedResponseHeaders(headers))
  return hash.update(writeVarint(body.length)).update(body).digest()
}

type HeaderPair = [name: string, value: string]

function signedRequestHeaders(headers: SignedRequest['headers']): HeaderPair[] {
  const pairs: HeaderPair[] = []
  for (const name in headers) {
    if (name === 'content-type') pairs.push([name, String(headers[name]).split(';', 1)[0]!.trim()])
    else if (isSignedHeader(name)) pairs.push([name, String(headers[name])])
  }
  return sortHeaders(pairs)
}

function signedResponseHeaders(headers: SignedResponse['headers']): HeaderPair[] {
  const pairs: HeaderPair[] = []
  for (const name in headers) {
    if (isSignedHeader(name)) pairs.push([name, String(headers[name])])
  }
  return sortHeaders(pairs)
}

function isSignedHeader(name: string): boolean {
  return name === 'authorization' || (name.startsWith('x-bsv-') && !name.startsWith('x-bsv-auth'))
}

/** The released clients sort by locale, not by bytes. */
function sortHeaders(pairs: HeaderPair[]): HeaderPair[] {
  return pairs.sort(([a], [b]) => a.localeCompare(b))
}

function writeHeaders(hash: Hash, pairs: HeaderPair[]): void {
  hash.update(writeVarint(pairs.length))
  for (const [name, value] of pairs) {
    hash.update(writeVarint(Buffer.byteLength(name))).update(name)
    hash.update(writeVarint(Buffer.byteLength(value))).update(value)
  }
}

function writeText(hash: Hash, text: string): void {
  if (text === '') hash.update(ABSENT)
  else hash.update(writeVarint(Buffer.byteLength(text))).update(text)
}

/** -1 as a varint: nine bytes of ones. */
const ABSENT = Buffer.alloc(9, 0xff)
