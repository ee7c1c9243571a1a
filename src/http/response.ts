import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Limits } from '../limits'
import { UNREAD_CHUNKS_POINTS } from '../limits/meter'
import type { Exchange } from './exchange'

/** A body that is not read is left to Node up to this length, in bytes: Node discards it and keeps the connection. */
const DISCARDED_BYTES = 64 * 1024
/** How long a connection stays whose request is answered unread, so that its client reads the answer, in milliseconds. */
const LINGER_MS = 500

const waiting = new WeakMap<ServerResponse, Array<() => void>>()

/**
 * Calls back once when the work for a response is done: when it is ended or given up. That the client has read it
 * may take much longer, and that the client has left ends no work.
 */
export function onWorkDone(res: ServerResponse, callback: () => void): void {
  waiting.get(res)?.push(callback)
}

/**
 * Follows a response to its end: tells `onWorkDone`, bounds the memory of answers that clients do not read, and ends
 * the connection of a request that is answered before it has arrived.
 */
export function followResponse(
  req: IncomingMessage,
  res: ServerResponse,
  exchange: Exchange,
  limits: Pick<Limits, 'outgoing' | 'perAddress'>,
): void {
  const callbacks: Array<() => void> = []
  waiting.set(res, callbacks)
  const done = (): void => {
    for (const callback of callbacks.splice(0)) callback()
  }
  const { write, end, destroy } = res
  res.destroy = (error) => {
    done()
    return destroy.call(res, error)
  }
  res.end = (...parameters: unknown[]) => {
    done()
    if (isUnread(req)) {
      leaveUnread(req)
      // It may have arrived in thousands of pieces by now, and each was work.
      if (req.headers['transfer-encoding'] !== undefined)
        limits.perAddress.charge(exchange.address, UNREAD_CHUNKS_POINTS)
      // The answer leaves at once. To close the connection now, with bytes unread, could take the answer away.
      res.shouldKeepAlive = false
      res.flushHeaders()
      write.apply(res, [toBytes(parameters[0])] as unknown as Parameters<typeof write>)
      setTimeout(() => {
        end.apply(res, [] as unknown as Parameters<typeof end>)
        req.socket.destroySoon()
      }, LINGER_MS).unref()
    } else {
      end.apply(res, parameters as Parameters<typeof end>)
      boundUnsent(req, res, exchange.owners, limits.outgoing)
    }
    return res
  }
}

/** Whether more of the request's body may come than is worth discarding. */
function isUnread({ complete, headers }: IncomingMessage): boolean {
  return (
    !complete &&
    (headers['transfer-encoding'] !== undefined ||
      Number(headers['content-length'] ?? 0) > DISCARDED_BYTES)
  )
}

/** Reads no more of a body, and lets go of what has arrived. */
function leaveUnread(req: IncomingMessage): void {
  const { socket } = req
  req.pause()
  socket.pause()
  setImmediate(() => {
    // To take out what has arrived resumes the connection.
    socket.once('resume', () => {
      socket.pause()
    })
    req.read()
  })
}

function toBytes(chunk: unknown): Buffer {
  return typeof chunk === 'string' || Buffer.isBuffer(chunk)
    ? Buffer.from(chunk as string)
    : Buffer.alloc(0)
}

/** What a client does not read stays in memory until it does, or until its connection ends. */
function boundUnsent(
  req: IncomingMessage,
  res: ServerResponse,
  owners: readonly string[],
  output: Limits['outgoing'],
): void {
  if (res.writableLength === 0 || res.closed) return
  const end = (): void => {
    req.socket.destroy()
  }
  const account = output.open(owners, end)
  res.once('close', () => {
    account.close()
  })
  try {
    account.resize(res.writableLength)
  } catch {
    end()
  }
}
