/** Reading the body of a request, within bounds of bytes, of pieces and of memory. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ApiError } from '../contract/errors'
import type { Limits } from '../limits'
import type { ByteAccount } from '../limits/budget'
import { exchangeOf } from './exchange'
import { onWorkDone } from './response'

/** The first allocation for a body that arrives in pieces, in bytes; it doubles as the body grows. */
const FIRST_BYTES = 4096
/** A body may arrive in this many pieces, and one more for each so many bytes: each piece costs work, however small it is. */
const FREE_PIECES = 512
const BYTES_A_PIECE = 64

/**
 * Receives a request: reads its body, charges its address for it, and lets the request in to be worked on. The memory
 * of the body is held until the answer is made.
 * @param limit in bytes
 * @throws ApiError as `readBody` does, ERR_RATE_LIMITED
 */
export async function receiveBody(
  req: IncomingMessage,
  res: ServerResponse,
  limit: number,
  { incoming, gate, meter }: Pick<Limits, 'incoming' | 'gate' | 'meter'>,
): Promise<Buffer> {
  const exchange = exchangeOf(req)
  const account = incoming.open(exchange.owners, () => {
    req.socket.destroy()
  })
  try {
    const body = await readBody(req, limit, account)
    exchange.bodyBytes = body.length
    const leave = gate.enter(exchange.address)
    account.keep()
    onWorkDone(res, () => {
      leave()
      account.close()
    })
    await meter.spendOfAddress(exchange.address, { bytes: body.length })
    return body
  } catch (error) {
    account.close()
    throw error
  }
}

/**
 * Reads a body whole. Begins at once, so that nothing piles up unread. If the client leaves, the promise stays pending.
 * @param limit in bytes
 * @param account holds the memory of the body while it arrives; the caller closes it when the promise settles
 * @throws ApiError ERR_UNSUPPORTED_ENCODING, ERR_BODY_TOO_LARGE as soon as the body is known to be too large,
 * ERR_BODY_IN_PIECES, ERR_SERVER_BUSY
 */
export async function readBody(
  req: IncomingMessage,
  limit: number,
  account: ByteAccount,
): Promise<Buffer> {
  const {
    'content-encoding': encoding = '',
    'content-length': length = NaN,
    'transfer-encoding': transfer,
  } = req.headers
  const announced = Number(length)
  const hasBody = announced > 0 || transfer !== undefined
  if (hasBody && !['', 'identity'].includes(encoding.toLowerCase()))
    throw new ApiError('ERR_UNSUPPORTED_ENCODING')
  if (announced > limit) throw tooLarge(limit)
  const most = Number.isNaN(announced) ? limit : announced
  return await new Promise((resolve, reject) => {
    const body = new GrowingBuffer(most, (bytes) => {
      account.resize(bytes)
    })
    const refuse = (error: unknown): void => {
      req.off('data', onData)
      reject(error as Error)
    }
    const onData = (piece: Buffer): void => {
      try {
        if (body.length + piece.length > limit) throw tooLarge(limit)
        body.append(piece)
        if (body.pieces > FREE_PIECES + body.length / BYTES_A_PIECE)
          throw new ApiError('ERR_BODY_IN_PIECES')
      } catch (error) {
        refuse(error)
      }
    }
    req.on('data', onData)
    req.once('end', () => {
      resolve(body.take())
    })
    // The client has left: nothing more comes, and no answer is read.
    req.on('error', () => {})
    req.once('close', () => {
      if (!req.complete) account.close()
    })
  })
}

function tooLarge(limit: number): ApiError {
  return new ApiError(
    'ERR_BODY_TOO_LARGE',
    `The body is larger than this server accepts: ${limit} bytes.`,
    { limit },
  )
}

/** Bytes that arrive in pieces. A piece that stays alone is not copied; further ones are, so that none is kept. */
class GrowingBuffer {
  length = 0
  pieces = 0
  #bytes: Buffer = Buffer.alloc(0)

  /**
   * @param most how long it may become, in bytes: no more is allocated
   * @param onResize told how many bytes are allocated, before they are; it may throw
   */
  constructor(
    private readonly most: number,
    private readonly onResize: (bytes: number) => void,
  ) {}

  append(piece: Buffer): void {
    const length = this.length + piece.length
    if (this.pieces++ === 0) {
      this.onResize(length)
      this.#bytes = piece
    } else {
      if (length > this.#bytes.length || this.pieces === 2) this.#grow(length)
      piece.copy(this.#bytes, this.length)
    }
    this.length = length
  }

  /** Everything that arrived. */
  take(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  #grow(length: number): void {
    const capacity = Math.max(
      length,
      Math.min(this.most, Math.max(FIRST_BYTES, this.#bytes.length * 2)),
    )
    this.onResize(capacity)
    const grown = Buffer.allocUnsafeSlow(capacity)
    this.#bytes.copy(grown, 0, 0, this.length)
    this.#bytes = grown
  }
}
