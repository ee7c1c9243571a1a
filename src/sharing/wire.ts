/** What a worker and its supervisor tell each other to share state. */
import type { IdentityKey, PublishedMessage } from '../contract/protocol'

/** One end of the connection between a worker and its supervisor. It keeps the order. */
export interface Wire {
  /** @param onSent called when the message has left this process */
  send: (message: unknown, onSent?: () => void) => void
  onMessage: (listener: (message: unknown) => void) => void
}

export type Request =
  | [kind: 'count', name: string, key: string, points: number]
  | [kind: 'seen', identityKey: IdentityKey, nonce: string]
  | [kind: 'listen' | 'unlisten', recipient: IdentityKey]
  | [kind: 'publish', message: PublishedMessage]

/** The requests of one turn of a worker's event loop. */
export interface Batch {
  /** Undefined if the worker waits for no answer. */
  id: number | undefined
  requests: Request[]
}

export type FromSupervisor =
  /** The answers to a batch, one for each request. */
  | { id: number; answers: unknown[] }
  /** Messages that other workers have stored. */
  | { published: PublishedMessage[] }
