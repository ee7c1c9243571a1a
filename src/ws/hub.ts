/**
 * The registry of live listeners: room → sockets. It signs and emits, and knows no database. Without listeners,
 * or with the live layer off, there is simply nobody to tell.
 */
import type { Fanout, JoinFanout } from '../fanout'
import { Interest } from '../fanout/interest'
import type { Publish } from '../mailbox'
import { formatRoom, MAX_DELIVERED_BODY, messageEvent, type IdentityKey, type LiveMessage, type PublishedMessage, type Room } from '../protocol'
import type { AuthSocket } from './authSocket'
import { encodeEvent, type EncodedEvent } from './events'

export class Hub {
  readonly #fanout: Fanout
  readonly #interest: Interest
  /** The members of each room, with the name under which each joined: blanks around a box's name make no other box. */
  readonly #rooms = new Map<string, Map<AuthSocket, string>>()
  readonly #memberships = new Map<AuthSocket, Set<string>>()
  /** Sockets that came back without a word, by identity: they hear whatever arrives for it. */
  readonly #everything = new Map<IdentityKey, Set<AuthSocket>>()

  /**
   * @param joinFanout joins this node to the others
   * @param onDelivered told of how many sockets each message went to
   */
  constructor (joinFanout: JoinFanout, private readonly onDelivered: (sockets: number) => void = () => {}) {
    this.#fanout = joinFanout(message => { this.deliver(message) })
    this.#interest = new Interest(this.#fanout)
  }

  /** How many rooms have somebody in them. */
  get size (): number {
    return this.#rooms.size
  }

  /** Resolves when the room is heard of on all nodes; on this one it is at once. */
  async join (socket: AuthSocket, room: Room, roomId: string): Promise<void> {
    const name = formatRoom(room)
    const members = this.#rooms.get(name) ?? new Map<AuthSocket, string>()
    const heard = members.has(socket) ? undefined : this.#interest.enter(room.recipient)
    socket.rooms.delete(members.get(socket) ?? '')
    this.#rooms.set(name, members.set(socket, roomId))
    this.#memberships.set(socket, (this.#memberships.get(socket) ?? new Set()).add(name))
    socket.rooms.add(roomId)
    this.#forgetEverything(socket)
    await heard
  }

  has (socket: AuthSocket, room: Room): boolean {
    return this.#rooms.get(formatRoom(room))?.has(socket) === true
  }

  leave (socket: AuthSocket, room: Room): void {
    const name = formatRoom(room)
    socket.rooms.delete(this.#rooms.get(name)?.get(socket) ?? '')
    this.#remove(socket, name)
  }

  /** Delivers to a socket all messages of its identity, until it joins a room. */
  joinEverything (socket: AuthSocket, identityKey: IdentityKey): void {
    const sockets = this.#everything.get(identityKey) ?? new Set()
    if (sockets.has(socket)) return
    this.#everything.set(identityKey, sockets.add(socket))
    void this.#interest.enter(identityKey)
  }

  /** A socket has gone. */
  drop (socket: AuthSocket): void {
    for (const name of this.#memberships.get(socket) ?? []) this.#remove(socket, name)
    this.#memberships.delete(socket)
    socket.rooms.clear()
    this.#forgetEverything(socket)
  }

  /** Tells whoever listens, here and on other nodes, about a message that this node has stored. */
  readonly publish: Publish = message => {
    if (message.body.length > MAX_DELIVERED_BODY) return
    this.deliver(message)
    this.#fanout.publish(message)
  }

  /** Tells this node's own sockets. */
  deliver (message: PublishedMessage): void {
    const room = formatRoom(message)
    const listeners = this.#listeners(message.recipient, room)
    if (listeners.length === 0) return
    const data = toLiveMessage(message)
    const events = new Map<string, EncodedEvent>()
    for (const [socket, roomId] of listeners) {
      const event = events.get(roomId) ?? encodeEvent(messageEvent(roomId), data)
      events.set(roomId, event)
      socket.send(event)
    }
    this.onDelivered(listeners.length)
  }

  /** Whether messages pass between the nodes. */
  get connected (): boolean {
    return this.#fanout.connected
  }

  close (): void {
    this.#fanout.close()
  }

  #listeners (recipient: IdentityKey, room: string): Array<[AuthSocket, roomId: string]> {
    const others = [...this.#everything.get(recipient) ?? []].map((socket): [AuthSocket, string] => [socket, room])
    return [...this.#rooms.get(room) ?? [], ...others]
  }

  #remove (socket: AuthSocket, name: string): void {
    const members = this.#rooms.get(name)
    if (members?.delete(socket) !== true) return
    if (members.size === 0) this.#rooms.delete(name)
    this.#memberships.get(socket)?.delete(name)
    this.#interest.exit(socket.identityKey!)
  }

  #forgetEverything (socket: AuthSocket): void {
    const identityKey = socket.identityKey ?? ''
    const sockets = this.#everything.get(identityKey)
    if (sockets?.delete(socket) !== true) return
    if (sockets.size === 0) this.#everything.delete(identityKey)
    this.#interest.exit(identityKey)
  }
}

function toLiveMessage ({ sender, messageId, body, messageBox, recipient, createdAt }: PublishedMessage): LiveMessage {
  const time = new Date(createdAt).toISOString()
  return { sender, messageId, body, messageBox, recipient, created_at: time, updated_at: time }
}
