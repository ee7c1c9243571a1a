/**
 * The sockets in each room. Sends them the messages that are stored, on this node and on others. It
 * knows no database.
 */
import type { Fanout, JoinFanout } from '../fanout'
import { Subscriptions } from '../fanout/subscriptions'
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
  joinFanout: JoinFanout
  /** Called with the number of sockets that each message is sent to. */
  onDelivered: (sockets: number) => void
  /** Opens an account of the memory for what is sent. */
  openAccount: (owners: string[]) => ByteAccount
}

export class Hub {
  readonly #fanout: Fanout
  readonly #subscriptions: Subscriptions
  readonly #deliveries: Deliveries
  /**
   * The members of each room, with the name by which each joined: blanks around a box's name are
   * ignored.
   */
  readonly #rooms = new Map<string, Map<AuthSocket, string>>()
  readonly #memberships = new Map<AuthSocket, Set<string>>()

  constructor(private readonly parts: HubParts) {
    this.#fanout = parts.joinFanout((message) => {
      this.deliver(message)
    })
    this.#subscriptions = new Subscriptions(this.#fanout)
    this.#deliveries = new Deliveries(parts.openAccount)
  }

  /** How many rooms have members. */
  get size(): number {
    return this.#rooms.size
  }

  /** Resolves when the socket gets messages from all nodes; it gets those of this node at once. */
  async join(socket: AuthSocket, room: Room, roomId: string): Promise<void> {
    if (socket.ended) return
    const name = formatRoom(room)
    const members = this.#rooms.get(name) ?? new Map<AuthSocket, string>()
    const subscribed = members.has(socket) ? undefined : this.#subscriptions.add(room.recipient)
    socket.rooms.delete(members.get(socket) ?? '')
    this.#rooms.set(name, members.set(socket, roomId))
    this.#memberships.set(socket, (this.#memberships.get(socket) ?? new Set()).add(name))
    socket.rooms.add(roomId)
    await subscribed
  }

  has(socket: AuthSocket, room: Room): boolean {
    return this.#rooms.get(formatRoom(room))?.has(socket) === true
  }

  leave(socket: AuthSocket, room: Room): void {
    const name = formatRoom(room)
    socket.rooms.delete(this.#rooms.get(name)?.get(socket) ?? '')
    this.#remove(socket, name)
  }

  /** A socket has gone. */
  drop(socket: AuthSocket): void {
    for (const name of this.#memberships.get(socket) ?? []) this.#remove(socket, name)
    this.#memberships.delete(socket)
  }

  /**
   * Sends a message that this node has stored to the sockets in its room, here and on other nodes.
   * @returns how many sockets of this node it is sent to
   */
  readonly publish = (message: PublishedMessage): number => {
    if (message.body.length > MAX_EVENT_BYTES) return 0
    const sockets = this.deliver(message)
    this.#fanout.publish(message)
    return sockets
  }

  /** Sends a message to this node's sockets, unless the event is too large for clients. */
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
    this.#subscriptions.remove(socket.identityKey!)
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
