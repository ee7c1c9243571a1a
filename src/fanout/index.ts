/** How a stored message reaches the sockets of other nodes. Best effort: the table is the truth. */
import type { IdentityKey, PublishedMessage } from '../contract/protocol'

/** Tells this node's own sockets about a message that another node has stored. */
export type Deliver = (message: PublishedMessage) => void

export interface Fanout {
  /** Whether this node hears of others, and they of it. */
  readonly connected: boolean
  /** Tells the other nodes that listen for the message's recipient. */
  publish: (message: PublishedMessage) => void
  /** From when this resolves on, this node hears of messages for a recipient that other nodes publish. */
  listen: (recipient: IdentityKey) => Promise<void>
  unlisten: (recipient: IdentityKey) => void
  close: () => void
}

/** Joins a node to the others; `deliver` is called for what they publish, and never for what this node does. */
export type JoinFanout = (deliver: Deliver) => Fanout
