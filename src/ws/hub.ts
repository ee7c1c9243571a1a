/**
 * The registry of live listeners: room → sockets. It signs and emits, and knows no database. If nothing listens, or
 * the live layer is off, there is nothing to tell.
 */
import type { Fanout, JoinFanout } from '../fanout'
import { Interest } from '../fanout/subscriptions'
import type { ByteAccount } from '../limits/budget'
import {
  formatRoom,
  MAX_EVENT_BYTES,
  messageEvent,
  type LiveMessage,
  type PublishedMessage,
  type Room,
} from '../contract/protocol'
import type { AuthSocket } from './authSocket'
import { Deliveries, type Delivery } from './deliveries'
import { encodeEvent, type EncodedEvent } from './eventCodec'

export interface HubParts {
  /** Joins this node to the others. */
  joinFanout: JoinFanout
  /** Told of how many sockets each message went to. */
  onDelivered: (sockets: number) => void
  /** Opens an account of the memory for what is sent. */
  openAccount: (owners: string[]) => ByteAccount
}

export class Hub {
  readonly #fanout: Fanout
  readonly #interest: Interest
  readonly #deliveries: Deliveries
  /** The members of each room, with the name under which each joined: blanks around a box's name make no other box. */
  readonly #rooms = new Map<string, Map<AuthSocket, string>>()
  readonly #memberships = new Map<AuthSocket, Set<string>>()

  constructor(private readonly parts: HubParts) {
    this.#fanout = parts.joinFanout((message) => {
      this.deliver(message)
    })
    this.#interest = new Interest(this.#fanout)
    this.#deliveries = new Deliveries(parts.openAccount)
  }

  /** How many rooms have members. */
  get size(): number {
    return this.#rooms.size
  }

  /** Resolves when the room is heard of on all nodes; on this one it is at once. */
  async join(socket: AuthSocket, room: Room, roomId: string): Promise<void> {
    if (socket.ended) return
    const name = formatRoom(room)
    const members = this.#rooms.get(name) ?? new Map<AuthSocket, string>()
    const heard = members.has(socket) ? undefined : this.#interest.enter(room.recipient)
    socket.leave(members.get(socket) ?? '')
    this.#rooms.set(name, members.set(socket, roomId))
    this.#memberships.set(socket, (this.#memberships.get(socket) ?? new Set()).add(name))
    socket.enter(roomId)
    await heard
  }

  has(socket: AuthSocket, room: Room): boolean {
    return this.#rooms.get(formatRoom(room))?.has(socket) === true
  }

  leave(socket: AuthSocket, room: Room): void {
    const name = formatRoom(room)
    socket.leave(this.#rooms.get(name)?.get(socket) ?? '')
    this.#remove(socket, name)
  }

  /** A socket has gone. */
  drop(socket: AuthSocket): void {
    for (const name of this.#memberships.get(socket) ?? []) this.#remove(socket, name)
    this.#memberships.delete(socket)
  }

  /**
   * Tells the sockets in the message's room, here and on other nodes, about a message that this node has stored.
   * @returns how many there are here
   */
  readonly publish = (message: PublishedMessage): number => {
    if (message.body.length > MAX_EVENT_BYTES) return 0
    const sockets = this.deliver(message)
    this.#fanout.publish(message)
    return sockets
  }

  /** Tells this node's own sockets, unless the event is too large for clients. */
  deliver(message: PublishedMessage): number {
    const members = this.#rooms.get(formatRoom(message))
    if (members === undefined) return 0
    const data = toLiveMessage(message)
    const events = new Map<string, EncodedEvent>()
    const deliveries: Delivery[] = []
    for (const [socket, roomId] of members) {
      const event = events.get(roomId) ?? encodeEvent(messageEvent(roomId), data)
      events.set(roomId, event)
      if (event.bytes <= MAX_EVENT_BYTES) deliveries.push([socket, event])
    }
    if (deliveries.length === 0 || !this.#deliveries.add(message.recipient, deliveries)) return 0
    this.parts.onDelivered(deliveries.length)
    return deliveries.length
  }

  /** Whether messages pass between the nodes. */
  get connected(): boolean {
    return this.#fanout.connected
  }

  close(): void {
    this.#fanout.close()
  }

  #remove(socket: AuthSocket, name: string): void {
    const members = this.#rooms.get(name)
    if (members?.delete(socket) !== true) return
    if (members.size === 0) this.#rooms.delete(name)
    this.#memberships.get(socket)?.delete(name)
    this.#interest.exit(socket.identityKey!)
  }
}

function toLiveMessage({
  sender,
  messageId,
  body,
  messageBox,
  recipient,
  createdAt,
}: PublishedMessage): LiveMessage {
  const time = new Date(createdAt).toISOString()
  return { sender, messageId, body, messageBox, recipient, created_at: time, updated_at: time }
}
