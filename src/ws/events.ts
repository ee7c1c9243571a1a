/** Events as AuthSocket carries them: the UTF-8 JSON of `{"eventName","data"}` as a general message's payload. */
import { createHash } from 'node:crypto'

/** An event ready to be signed; made once, however many sockets it goes to. */
export interface EncodedEvent {
  /** SHA-256 of the payload. */
  hash: Buffer
  /** The payload as it travels, bytes as numbers, in JSON. */
  payload: string
}

export function encodeEvent (eventName: string, data: unknown): EncodedEvent {
  const bytes = Buffer.from(JSON.stringify({ eventName, data }))
  return { hash: hashPayload(bytes), payload: `[${bytes.join(',')}]` }
}

export function hashPayload (payload: Buffer): Buffer {
  return createHash('sha256').update(payload).digest()
}

/** Undefined where the payload is no event. */
export function decodeEvent (payload: Buffer): { eventName: string, data: unknown } | undefined {
  try {
    const { eventName, data } = JSON.parse(payload.toString('utf8')) as { eventName?: unknown, data?: unknown }
    return typeof eventName === 'string' ? { eventName, data } : undefined
  } catch {
    return undefined
  }
}
