/**
 * The registry of live listeners: room → sockets. It signs and emits, and knows no database. Without listeners,
 * or with the live layer off, there is simply nobody to tell.
 */
import type { Publish, PublishedMessage } from '../mailbox'
import { formatRoom, MAX_DELIVERED_BODY, messageEvent, type IdentityKey, type LiveMessage, type Room } from '../protocol'
import type { AuthSocket } from './authSocket'
import { encodeEvent, type EncodedEvent } from './events'

export class Hub {
  /** The members of each room, with the name under which each joined: blanks around a box's name make no other box. */
  readonly #rooms = new Map<string, Map<AuthSocket, string>>()
  readonly #memberships = new Map<AuthSocket, Set<string>>()
  /** Sockets that came back without a word, by identity: they hear whatever arrives for it. */
  readonly #everything = new Map<IdentityKey, Set<AuthSocket>>()

  /** How many rooms have somebody in them. */
  get size (): number {
    return this.#rooms.size
  }

  join (socket: AuthSocket, room: Room, roomId: string): void {
    const name = formatRoom(room)
    const members = this.#rooms.get(name) ?? new Map<AuthSocket, string>()
    socket.rooms.delete(members.get(socket) ?? '')
    this.#rooms.set(name, members.set(socket, roomId))
    this.#memberships.set(socket, (this.#memberships.get(socket) ?? new Set()).add(name))
    socket.rooms.add(roomId)
    this.#forgetEverything(socket)
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
    this.#everything.set(identityKey, (this.#everything.get(identityKey) ?? new Set()).add(socket))
  }

  /** A socket has gone. */
  drop (socket: AuthSocket): void {
    for (const name of this.#memberships.get(socket) ?? []) this.#remove(socket, name)
    this.#memberships.delete(socket)
    socket.rooms.clear()
    this.#forgetEverything(socket)
  }

  readonly publish: Publish = message => {
    if (message.body.length > MAX_DELIVERED_BODY) return
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
  }

  #listeners (recipient: IdentityKey, room: string): Array<[AuthSocket, roomId: string]> {
    const others = [...this.#everything.get(recipient) ?? []].map((socket): [AuthSocket, string] => [socket, room])
    return [...this.#rooms.get(room) ?? [], ...others]
  }

  #remove (socket: AuthSocket, name: string): void {
    const members = this.#rooms.get(name)
    members?.delete(socket)
    if (members?.size === 0) this.#rooms.delete(name)
    this.#memberships.get(socket)?.delete(name)
  }

  #forgetEverything (socket: AuthSocket): void {
    const sockets = this.#everything.get(socket.identityKey ?? '')
    sockets?.delete(socket)
    if (sockets?.size === 0) this.#everything.delete(socket.identityKey ?? '')
  }
}

function toLiveMessage ({ sender, messageId, body, messageBox, recipient, createdAt }: PublishedMessage): LiveMessage {
  const time = new Date(createdAt).toISOString()
  return { sender, messageId, body, messageBox, recipient, created_at: time, updated_at: time }
}
