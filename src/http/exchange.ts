/**
 * The requests and responses of the HTTP server. An `Exchange` is a request with its response: it
 * holds a response back until it is signed, limits the memory of answers that clients do not read,
 * and ends the connection of a request that is answered before its body has arrived.
 */
import type { Express } from 'express'
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Limits } from '../limits'
import { UNREAD_CHUNKS_POINTS } from '../limits/meter'

/** Node discards an unread body up to this length and keeps the connection. */
const MAX_DISCARDED_BYTES = 64 * 1024
/** How long the connection of an unread request stays open, so that its client reads the answer. */
const LINGER_MS = 500

/**
 * Gets the whole body of a response before anything of it is sent, and may set headers.
 * Calls `send` to send the response. Otherwise the next `res.end` sends another one.
 */
export type BeforeSend = (body: Buffer, send: () => void) => void

/** The classes that Node creates requests and responses with. */
export interface MessageClasses {
  IncomingMessage: typeof IncomingMessage
  ServerResponse: typeof ServerResponse
}

interface InExchange {
  exchange?: Exchange
}

/** @returns the exchange that the request began */
export function exchangeOf(req: IncomingMessage): Exchange {
  return (req as InExchange).exchange!
}

/**
 * Creates the classes of requests and responses. `write`, `end` and `destroy` of responses are
 * overridden only here. Callbacks of `write` and `end` are not called for a response that is held
 * back or whose request is left unread.
 *
 * The objects have Express's prototypes from the start. Express would otherwise change the
 * prototype of each, which makes them slow, and keeps them in memory until a full garbage
 * collection.
 */
export function createMessageClasses(app: Express): MessageClasses {
  class Request extends IncomingMessage implements InExchange {
    exchange: Exchange | undefined = undefined
  }
  class Response<T extends IncomingMessage = IncomingMessage>
    extends ServerResponse<T>
    implements InExchange
  {
    exchange: Exchange | undefined = undefined

    override write(...parameters: unknown[]): boolean {
      if (this.exchange?.hold(parameters[0]) === true) return true
      return super.write.apply(this, parameters as Parameters<ServerResponse['write']>)
    }

    override end(...parameters: unknown[]): this {
      if (this.exchange === undefined)
        return super.end.apply(this, parameters as Parameters<ServerResponse['end']>)
      this.exchange.end(parameters)
      return this
    }

    override destroy(error?: Error): this {
      this.exchange?.finish()
      return super.destroy(error)
    }
  }
  Object.setPrototypeOf(Request.prototype, app.request as object)
  Object.setPrototypeOf(Response.prototype, app.response as object)
  Object.assign(app, { request: Request.prototype, response: Response.prototype })
  return { IncomingMessage: Request, ServerResponse: Response }
}

export class Exchange {
  /** The address that the request counts for. */
  readonly address: string
  /** The address and the proven identity, if any: they are charged for the request's memory. */
  readonly owners: string[]
  bodyBytes = 0
  /** Names the request in the log. */
  requestId: string | undefined = undefined
  readonly #whenDone: Array<() => void> = []
  #beforeSend: BeforeSend | undefined
  #held: Buffer[] = []

  constructor(
    private readonly req: IncomingMessage & InExchange,
    private readonly res: ServerResponse & InExchange,
    private readonly limits: Pick<Limits, 'address' | 'outgoing' | 'perAddress'>,
  ) {
    this.address = limits.address.of(req)
    this.owners = [this.address]
    req.exchange = this
    res.exchange = this
  }

  /**
   * Calls back once when the response is ended or given up. The client may read it much later, and
   * a client that disconnects does not stop the work.
   */
  onWorkDone(callback: () => void): void {
    this.#whenDone.push(callback)
  }

  /** Holds the response back until it is whole. */
  holdResponse(beforeSend: BeforeSend): void {
    this.#beforeSend = beforeSend
  }

  /** Keeps a chunk of a response that is held back. @returns false if it is not */
  hold(chunk: unknown): boolean {
    if (this.#beforeSend === undefined) return false
    this.#held.push(toBytes(chunk))
    return true
  }

  /** Ends the response, or hands it over if it is held back. */
  end(parameters: unknown[]): void {
    const beforeSend = this.#beforeSend
    if (beforeSend === undefined) return this.#end(parameters)
    this.#beforeSend = undefined
    const chunk = toBytes(parameters[0])
    const body = this.#held.length === 0 ? chunk : Buffer.concat([...this.#held, chunk])
    this.#held = []
    beforeSend(body, () => {
      this.#end([body])
    })
  }

  /** The work is done: the response is ended or given up. */
  finish(): void {
    for (const callback of this.#whenDone.splice(0)) callback()
  }

  #end(parameters: unknown[]): void {
    const { req, res } = this
    this.finish()
    const { write, end } = ServerResponse.prototype
    if (!isUnread(req)) {
      end.apply(res, parameters as Parameters<typeof end>)
      this.#limitUnsent()
      return
    }
    stopReading(req)
    // By now its body may have arrived in thousands of chunks, and each was work.
    if (req.headers['transfer-encoding'] !== undefined)
      this.limits.perAddress.charge(this.address, UNREAD_CHUNKS_POINTS)
    // The answer leaves at once. Closing the connection now, with bytes unread, could discard it.
    res.shouldKeepAlive = false
    res.flushHeaders()
    write.call(res, toBytes(parameters[0]), 'utf8')
    setTimeout(() => {
      end.call(res, undefined, 'utf8')
      req.socket.destroySoon()
    }, LINGER_MS).unref()
  }

  /** Charges the address for an answer until its client has read it, or is cut off. */
  #limitUnsent(): void {
    const { req, res } = this
    if (res.writableLength === 0 || res.closed) return
    const cutOff = (): void => {
      req.socket.destroy()
    }
    const account = this.limits.outgoing.open(this.owners, cutOff)
    res.once('close', () => {
      account.close()
    })
    try {
      account.resize(res.writableLength)
    } catch {
      cutOff()
    }
  }
}

/** Whether more of the body may come than Node should discard. */
function isUnread({ complete, headers }: IncomingMessage): boolean {
  return (
    !complete &&
    (headers['transfer-encoding'] !== undefined ||
      Number(headers['content-length'] ?? 0) > MAX_DISCARDED_BYTES)
  )
}

/** Stops reading a body, and frees what has arrived of it. */
function stopReading(req: IncomingMessage): void {
  const { socket } = req
  req.pause()
  socket.pause()
  setImmediate(() => {
    // Reading what has arrived resumes the connection.
    socket.once('resume', () => {
      socket.pause()
    })
    req.read()
  })
}

function toBytes(chunk: unknown): Buffer {
  if (chunk instanceof Uint8Array)
    return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  return typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.alloc(0)
}
