/** Reading a request's body within a bound, and not reading it at all. */
import type { Request, Response } from 'express'
import { isUtf8 } from 'node:buffer'
import { ApiError } from '../errors'

/** So many bytes of a body are always read; what comes beyond it shares a budget. */
const SMALL_BODY = 64 * 1024
/** How many bytes all bodies together may take, and those from one address. */
const BUDGET = 256 * 1024 * 1024
const SHARE = 64 * 1024 * 1024

/** The memory for bodies, which strangers can fill for nothing: it is bounded for all together and for each address. */
export class BodyBudget {
  #used = 0
  readonly #usedBy = new Map<string, number>()

  /** @param owner the address that a body comes from */
  open (owner: string): BodyAccount {
    let taken = 0
    return {
      take: bytes => {
        const ofOwner = (this.#usedBy.get(owner) ?? 0) + bytes
        if (this.#used + bytes > BUDGET || ofOwner > SHARE) throw new ApiError('ERR_SERVER_BUSY')
        taken += bytes
        this.#used += bytes
        this.#usedBy.set(owner, ofOwner)
      },
      release: () => {
        const left = (this.#usedBy.get(owner) ?? 0) - taken
        this.#used -= taken
        if (left > 0) this.#usedBy.set(owner, left)
        else this.#usedBy.delete(owner)
        taken = 0
      }
    }
  }
}

/** What one body has taken of the budget. */
export interface BodyAccount {
  /** @throws ApiError ERR_SERVER_BUSY where there is no more */
  take: (bytes: number) => void
  /** Gives everything back. */
  release: () => void
}

/** How much of an unwanted body is swallowed to keep the connection; beyond it, the connection is closed. */
const SWALLOWED_BYTES = 64 * 1024
/** How long a closing connection waits, unread, so that its client gets to see the answer. */
const LINGER = 500

/**
 * The whole body, as the bytes that were sent.
 * @param account charged as it arrives, beyond a small body; the caller's to release once it resolves or rejects
 * @throws ApiError ERR_BODY_TOO_LARGE as soon as it is known to be longer than `limit` bytes, ERR_SERVER_BUSY
 */
export async function readBody (req: Request, limit: number, account?: BodyAccount): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
  const chunks: Buffer[] = []
  let length = 0
  return await new Promise((resolve, reject) => {
    req.on('data', (chunk: Buffer) => {
      length += chunk.length
      try {
        if (length > limit) throw tooLarge(limit)
        if (length > SMALL_BODY) account?.take(chunk.length)
        chunks.push(chunk)
      } catch (error) {
        req.removeAllListeners('data').pause()
        reject(error as ApiError)
      }
    })
    req.on('end', () => { resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length)) })
    // Nobody is left to answer; the promise and its request are let go together.
    req.on('error', () => {})
    req.on('close', () => { if (!req.complete) account?.release() })
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
