/**
 * Authentication for Express by BRC-103 and BRC-104. It answers the handshake at /.well-known/auth.
 * Every other request gets a proven `req.auth.identityKey`, a body of exactly the signed bytes
 * (parsed if it is JSON, otherwise a Buffer) and a signed response. Its interface is that of
 * @bsv/auth-express-middleware.
 */
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { ApiError } from '../contract/errors'
import { receiveBody } from '../http/body'
import { exchangeOf } from '../http/exchange'
import { parseJson } from '../http/json'
import type { Limits } from '../limits'
import { HANDSHAKE_PATH, type Caller } from '../contract/protocol'
import { unauthorized, type Brc103, type MessageClaims } from './brc103'
import { AUTH_HEADERS, hashRequest, hashResponse } from './brc104'
import type { Session } from './session'

/** A request whose client has proven an identity. */
export interface AuthRequest extends Request {
  auth: Caller
}

const MAX_HANDSHAKE_BYTES = 64 * 1024

export interface HttpAuthParts {
  brc103: Brc103
  maxBodyBytes: number
  limits: Pick<Limits, 'incoming' | 'gate' | 'meter'>
  /** Called for each handshake that was answered. */
  onHandshake: () => void
}

/** The middleware to mount at the root, before every route that needs an identity. */
export function httpAuth(parts: HttpAuthParts): RequestHandler[] {
  return [handshake(parts), authenticate(parts)]
}

/** Whether a request claims to be authenticated. */
export function hasCredentials(req: Request): boolean {
  return (
    req.headers[AUTH_HEADERS.requestId] !== undefined ||
    req.headers[AUTH_HEADERS.signature] !== undefined
  )
}

function handshake({ brc103, limits, onHandshake }: HttpAuthParts): RequestHandler {
  return async (req, res, next) => {
    if (req.path !== HANDSHAKE_PATH) return next()
    if (req.method !== 'POST') throw new ApiError('ERR_METHOD_NOT_ALLOWED')
    const body = await receiveBody(req, MAX_HANDSHAKE_BYTES, limits)
    const { response } = await brc103.answerHandshake(parseJson(body), 'nonce')
    onHandshake()
    res.set({
      [AUTH_HEADERS.version]: response.version,
      [AUTH_HEADERS.messageType]: response.messageType,
      [AUTH_HEADERS.identityKey]: response.identityKey,
      [AUTH_HEADERS.yourNonce]: response.yourNonce,
      [AUTH_HEADERS.signature]: Buffer.from(response.signature).toString('hex'),
    })
    res.json(response)
  }
}

/**
 * Signs only responses to verified requests. Otherwise an attacker between client and server could
 * name the client's session in a request of its own, and pass the signed error response on as the
 * response to the client's request.
 */
function authenticate({ brc103, maxBodyBytes, limits }: HttpAuthParts): RequestHandler {
  return async (req, res, next) => {
    const { claims, requestId, session } = openRequest(brc103, req)
    const body = await receiveBody(req, maxBodyBytes, limits)
    const hash = hashRequest({
      requestId,
      method: req.method,
      target: req.originalUrl,
      headers: req.headers,
      body,
    })
    await brc103.verifyGeneral(session, claims, hash)
    const { identityKey } = session
    const { address, owners } = exchangeOf(req)
    ;(req as AuthRequest).auth = { identityKey, address }
    owners.push(identityKey)
    signResponse(brc103, session, requestId, { req, res, next })
    req.body = isJson(req) ? parseBody(body) : body
    next()
  }
}

/** Checks the headers before the body is read. */
function openRequest(
  brc103: Brc103,
  req: Request,
): { claims: MessageClaims; requestId: Buffer; session: Session } {
  const { headers } = req
  const requestId = decode(headers[AUTH_HEADERS.requestId], 'base64')
  if (requestId.length !== 32)
    throw unauthorized(
      hasCredentials(req) ? 'The request id must be 32 bytes in base64.' : undefined,
    )
  const claims: MessageClaims = {
    version: headers[AUTH_HEADERS.version],
    identityKey: headers[AUTH_HEADERS.identityKey],
    nonce: headers[AUTH_HEADERS.nonce],
    yourNonce: headers[AUTH_HEADERS.yourNonce],
    signature: decode(headers[AUTH_HEADERS.signature], 'hex'),
  }
  return { claims, requestId, session: brc103.openSession(claims) }
}

/** Holds the response back until it is whole, and signs it. An error in signing leaves unsigned. */
function signResponse(
  brc103: Brc103,
  session: Session,
  requestId: Buffer,
  { req, res, next }: { req: Request; res: Response; next: NextFunction },
): void {
  exchangeOf(req).holdResponse((body, send) => {
    const hash = hashResponse({
      requestId,
      status: res.statusCode,
      headers: res.getHeaders(),
      body,
    })
    brc103
      .signGeneral(session, hash)
      .then(({ version, identityKey, nonce, yourNonce, signature }) => {
        res.setHeader(AUTH_HEADERS.version, version)
        res.setHeader(AUTH_HEADERS.identityKey, identityKey)
        res.setHeader(AUTH_HEADERS.nonce, nonce)
        res.setHeader(AUTH_HEADERS.yourNonce, yourNonce)
        res.setHeader(AUTH_HEADERS.requestId, requestId.toString('base64'))
        res.setHeader(AUTH_HEADERS.signature, signature.toString('hex'))
        send()
      })
      .catch(next)
  })
}

/** A body without a content type counts as JSON. */
function isJson(req: Request): boolean {
  const type = req.headers['content-type']
  return type === undefined || /^application\/([^;]+\+)?json *(;|$)/i.test(type)
}

function parseBody(body: Buffer): unknown {
  return body.length === 0 ? {} : parseJson(body)
}

function decode(header: string | string[] | undefined, encoding: 'base64' | 'hex'): Buffer {
  return Buffer.from(typeof header === 'string' ? header : '', encoding)
}
