/**
 * The rooms of a socket, sealed into a text that its client keeps. Socket.IO clients send the text
 * of the last event when they connect again, also after a restart of the server and to another
 * node. So a client that neither authenticates nor joins again gets its rooms back, without a
 * table.
 *
 * The text proves that the server gave these rooms to this identity. It opens no room by itself:
 * the client has to prove its identity on the new connection.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IdentityKey } from '../contract/protocol'

/** How long a text is valid: as long as a client may be away, or receive no event. */
const VALIDITY_MS = 30 * 24 * 60 * 60 * 1000
const MINUTE_MS = 60_000
const TIME_BYTES = 4
const KEY_BYTES = 33
const MAC_BYTES = 16
const FIXED_BYTES = TIME_BYTES + KEY_BYTES + MAC_BYTES

export interface Memberships {
  identityKey: IdentityKey
  /** The names of the rooms, as the client spelled them. */
  rooms: string[]
}

export class MembershipSealer {
  /** @param secret 32 bytes, the same on every node and after every restart */
  constructor(private readonly secret: Buffer) {}

  /** Layout: time in minutes (4), identity key (33), MAC (16), rooms in JSON; in base64url. */
  seal({ identityKey, rooms }: Memberships): string {
    const head = Buffer.alloc(TIME_BYTES + KEY_BYTES)
    head.writeUInt32BE(Math.floor(Date.now() / MINUTE_MS))
    head.write(identityKey, TIME_BYTES, 'hex')
    const names = namesOf({ identityKey, rooms })
    return Buffer.concat([head, this.#mac(head, names), names]).toString('base64url')
  }

  /** @returns undefined if the text is altered, too old, or sealed with another key */
  open(sealed: string): Memberships | undefined {
    const bytes = Buffer.from(sealed, 'base64url')
    if (bytes.length < FIXED_BYTES) return undefined
    const head = bytes.subarray(0, TIME_BYTES + KEY_BYTES)
    const names = bytes.subarray(FIXED_BYTES)
    if (
      !timingSafeEqual(bytes.subarray(TIME_BYTES + KEY_BYTES, FIXED_BYTES), this.#mac(head, names))
    )
      return undefined
    if (Date.now() - head.readUInt32BE() * MINUTE_MS > VALIDITY_MS) return undefined
    const identityKey = head.toString('hex', TIME_BYTES)
    return {
      identityKey,
      rooms: (JSON.parse(names.toString()) as string[]).map((name) => lengthen(name, identityKey)),
    }
  }

  #mac(head: Buffer, names: Buffer): Buffer {
    return createHmac('sha256', this.secret)
      .update(head)
      .update(names)
      .digest()
      .subarray(0, MAC_BYTES)
  }
}

/** The names of the rooms that a socket is in, and the text that its client keeps of them. */
export class SealedRooms {
  readonly #names = new Set<string>()
  #hasChanged = false

  constructor(private readonly sealer: MembershipSealer) {}

  get names(): ReadonlySet<string> {
    return this.#names
  }

  add(name: string): void {
    this.#names.add(name)
    this.#hasChanged = true
  }

  delete(name: string): void {
    this.#names.delete(name)
    this.#hasChanged = true
  }

  /** Seals the rooms, if they have changed since the last call. */
  sealChanges(identityKey: IdentityKey): string | undefined {
    if (!this.#hasChanged) return undefined
    this.#hasChanged = false
    return this.#names.size === 0 ? '' : this.sealer.seal({ identityKey, rooms: [...this.#names] })
  }
}

/** The rooms' names as they are sealed. */
export function namesOf({ identityKey, rooms }: Memberships): Buffer {
  return Buffer.from(JSON.stringify(rooms.map((room) => shorten(room, identityKey))))
}

/** A room's name without its owner's key, if it begins with the canonical spelling of that key. */
function shorten(room: string, identityKey: IdentityKey): string {
  return room.startsWith(`${identityKey}-`) ? room.slice(identityKey.length) : room
}

function lengthen(name: string, identityKey: IdentityKey): string {
  return name.startsWith('-') ? `${identityKey}${name}` : name
}
