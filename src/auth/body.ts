/** Reading a request's body within a bound, and not reading it at all. */
import type { Request, Response } from 'express'
import { isUtf8 } from 'node:buffer'
import { ApiError } from '../errors'

/** Bodies up to this many bytes are always read; larger ones share a budget until their signature is checked. */
const SMALL_BODY = 64 * 1024
/** How many bytes of larger bodies all requests together may have under way. */
const BUDGET = 256 * 1024 * 1024

/** Bounds what unverified bodies take of memory: a session alone, which costs nothing, must not fill it. */
export class BodyBudget {
  #used = 0

  /**
   * Takes the memory for a body.
   * @returns a function that gives it back
   * @throws ApiError ERR_SERVER_BUSY where there is none left
   */
  take (bytes: number): () => void {
    if (bytes <= SMALL_BODY) return () => {}
    if (this.#used + bytes > BUDGET) throw new ApiError('ERR_SERVER_BUSY')
    this.#used += bytes
    return () => { this.#used -= bytes }
  }
}

/** How much of an unwanted body is swallowed to keep the connection; beyond it, the connection is closed. */
const SWALLOWED_BYTES = 64 * 1024
/** How long a closing connection waits, unread, so that its client gets to see the answer. */
const LINGER = 500

/**
 * The whole body, as the bytes that were sent.
 * @throws ApiError ERR_BODY_TOO_LARGE as soon as it is known to be longer than `limit` bytes
 */
export async function readBody (req: Request, limit: number): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
  const chunks: Buffer[] = []
  let length = 0
  return await new Promise((resolve, reject) => {
    req.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= limit) {
        chunks.push(chunk)
      } else {
        req.removeAllListeners('data').pause()
        reject(tooLarge(limit))
      }
    })
    req.on('end', () => { resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length)) })
    // Nobody is left to answer; the promise and its request are let go together.
    req.on('error', () => {})
  })
}

function tooLarge (limit: number): ApiError {
  return new ApiError('ERR_BODY_TOO_LARGE', `The body is larger than this server accepts: ${limit} bytes.`, { limit })
}

/** @throws ApiError ERR_INVALID_JSON */
export function parseJson (body: Buffer): unknown {
  if (!isUtf8(body)) throw new ApiError('ERR_INVALID_JSON')
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new ApiError('ERR_INVALID_JSON')
  }
}

/**
 * Prepares a response that leaves before the body was read. A small body is left to Node, which swallows it and
 * keeps the connection. A large one is never read: the answer is sent at once, and the connection closed a
 * moment later, since closing it with bytes unread could take the answer away from the client.
 */
export function refuseUnread (req: Request, res: Response): void {
  const length = req.headers['content-length'] ?? (req.headers['transfer-encoding'] === undefined ? 0 : Infinity)
  if (Number(length) <= SWALLOWED_BYTES) return
  res.setHeader('connection', 'close')
  const write = res.write.bind(res)
  const end = res.end.bind(res) as () => Response
  res.end = (chunk?: unknown): Response => {
    if (typeof chunk === 'string' || Buffer.isBuffer(chunk)) write(chunk)
    setTimeout(end, LINGER).unref()
    return res
  }
}
