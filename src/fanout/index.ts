/**
 * Tells other nodes of stored messages, for their sockets. Best effort: the messages are in the
 * database.
 */
import type { IdentityKey, PublishedMessage } from '../contract/protocol'

/** Delivers a message that another node has stored to this node's sockets. */
export type Deliver = (message: PublishedMessage) => void

export interface Fanout {
  /** Whether messages pass between this node and the others. */
  readonly connected: boolean
  /** Tells the other nodes that listen for the message's recipient. */
  publish: (message: PublishedMessage) => void
  /** Resolves when this node receives what other nodes publish for a recipient. */
  listen: (recipient: IdentityKey) => Promise<void>
  unlisten: (recipient: IdentityKey) => void
  close: () => void
}

/**
 * Joins a node to the others. `deliver` is called for what they publish, never for what this node
 * publishes.
 */
export type JoinFanout = (deliver: Deliver) => Fanout
