import type { IncomingMessage } from 'node:http'
import { ApiError } from '../contract/errors'
import type { Limits } from '../limits'
import type { ByteAccount } from '../limits/budget'
import { exchangeOf } from './exchange'

/** The first allocation for a body in several chunks. It doubles as the body grows. */
const FIRST_BYTES = 4096
/** A body may have this many chunks, and one more per so many bytes: each chunk costs work. */
const FREE_CHUNKS = 512
const BYTES_PER_CHUNK = 64

/**
 * Reads the body of a request, charges its address for it, and counts the request as being worked
 * on. The body counts for the memory budget until the response is ended.
 * @throws ApiError as `readBody` does, ERR_RATE_LIMITED
 */
export async function receiveBody(
  req: IncomingMessage,
  maxBytes: number,
  { incoming, gate, meter }: Pick<Limits, 'incoming' | 'gate' | 'meter'>,
): Promise<Buffer> {
  const exchange = exchangeOf(req)
  const account = incoming.open(exchange.owners, () => {
    req.socket.destroy()
  })
  try {
    const body = await readBody(req, maxBytes, account)
    exchange.bodyBytes = body.length
    const leave = gate.enter(exchange.address)
    account.keep()
    exchange.onWorkDone(() => {
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
 * Reads a whole body, from now on. If the client disconnects, the promise stays pending.
 * @param account is charged for the body as it arrives; the caller closes it after the promise
 * @throws ApiError ERR_UNSUPPORTED_ENCODING, ERR_BODY_TOO_LARGE as soon as the body is known to be
 * too large, ERR_BODY_IN_PIECES, ERR_SERVER_BUSY
 */
export async function readBody(
  req: IncomingMessage,
  maxBytes: number,
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
  if (announced > maxBytes) throw tooLarge(maxBytes)
  return await new Promise((resolve, reject) => {
    const body = new GrowingBuffer(announced || maxBytes, (bytes) => {
      account.resize(bytes)
    })
    const fail = (error: unknown): void => {
      req.off('data', onData)
      reject(error as Error)
    }
    const onData = (chunk: Buffer): void => {
      try {
        if (body.length + chunk.length > maxBytes) throw tooLarge(maxBytes)
        body.append(chunk)
        if (body.chunks > FREE_CHUNKS + body.length / BYTES_PER_CHUNK)
          throw new ApiError('ERR_BODY_IN_PIECES')
      } catch (error) {
        fail(error)
      }
    }
    req.on('data', onData)
    req.once('end', () => {
      resolve(body.take())
    })
    // A client that has disconnected needs no answer.
    req.on('error', () => {})
    req.once('close', () => {
      if (!req.complete) account.close()
    })
  })
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(
    'ERR_BODY_TOO_LARGE',
    `The body is larger than this server accepts: ${maxBytes} bytes.`,
    { limit: maxBytes },
  )
}

/** Collects chunks. Copies them unless there is only one, so that no chunk is kept. */
class GrowingBuffer {
  length = 0
  chunks = 0
  #bytes: Buffer = Buffer.alloc(0)

  /**
   * @param maxBytes no more is allocated
   * @param onResize is called with the size of an allocation before it happens, and may throw
   */
  constructor(
    private readonly maxBytes: number,
    private readonly onResize: (bytes: number) => void,
  ) {}

  append(chunk: Buffer): void {
    const length = this.length + chunk.length
    if (this.chunks++ === 0) {
      this.onResize(length)
      this.#bytes = chunk
    } else {
      if (length > this.#bytes.length || this.chunks === 2) this.#grow(length)
      chunk.copy(this.#bytes, this.length)
    }
    this.length = length
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  #grow(length: number): void {
    const capacity = Math.max(
      length,
      Math.min(this.maxBytes, Math.max(FIRST_BYTES, this.#bytes.length * 2)),
    )
    this.onResize(capacity)
    const grown = Buffer.allocUnsafeSlow(capacity)
    this.#bytes.copy(grown, 0, 0, this.length)
    this.#bytes = grown
  }
}
