/**
 * What the server sends to a socket's client. A number follows each event. The client sends the
 * last number when it comes back, and the server sends the events after it again: it keeps them for
 * a while, since a broken connection may have lost them. All of this counts for the memory of
 * unread output.
 */
import type { Socket } from 'socket.io'
import type { ByteAccount } from '../limits/budget'

/** About how many bytes of events are kept for a client that is connected, or away. */
const CONNECTED_BYTES = 64 * 1024
const AWAY_BYTES = 1024 * 1024
/** What an event takes in memory beside its text. */
const OVERHEAD_BYTES = 128
/** The first character of Socket.IO packets with an event. */
const EVENT_PACKET = '2'

export interface OutboxParts {
  /** A client that leaves more bytes than this unread is disconnected. */
  maxUnsentBytes: number
  /** Opens an account of the memory for output. */
  openAccount: (end: () => void) => ByteAccount
  /** Called if the client reads too slowly, or its owner has no memory left. */
  onOverflow: () => void
}

export class Outbox {
  /** The events that are kept; `#start` is the number of the first one. */
  #kept: string[] = []
  #start = 1
  #keptBytes = 0
  #touched = performance.now()
  #io: Socket | undefined
  /** What is written to the connection, and the system has not taken yet. */
  #unsentBytes = 0
  #account: ByteAccount | undefined
  /** The text after each number; see `memberships.ts`. */
  #sealed = ''
  /** Kept events are held back until the client has proven its identity on a new connection. */
  #isHeld = false

  constructor(private readonly parts: OutboxParts) {}

  /** Sets the text after the number of each event from now on. */
  set sealed(text: string) {
    this.#sealed = text === '' ? '' : `.${text}`
  }

  /** Whether all events after this number are still kept. */
  canResume(offset: number): boolean {
    return offset >= this.#start - 1 && offset < this.#start + this.#kept.length
  }

  /** Continues on a connection. */
  attach(io: Socket): void {
    this.#io = io
    this.#unsentBytes = 0
    this.changeOwners()
  }

  /** Opens a new account, for the address of another connection or for a newly proven identity. */
  changeOwners(): void {
    this.#account?.close()
    this.#account = this.parts.openAccount(this.parts.onOverflow)
    this.#updateAccount()
  }

  /** Keeps events back until `release`. */
  hold(): void {
    this.#isHeld = true
  }

  /** Sends what is kept after the number that the client has sent, and all further events. */
  release(offset: number): void {
    this.#isHeld = false
    for (const event of this.#kept.slice(Math.max(0, offset + 1 - this.#start))) this.#write(event)
  }

  /** The connection is broken; its client may come back. */
  detach(): void {
    this.#io = undefined
    this.#unsentBytes = 0
    // The account may have ended with the connection, and what is kept still counts.
    this.changeOwners()
  }

  /** Drops all events. */
  close(): void {
    this.#io = undefined
    this.#account?.close()
  }

  /**
   * Sends an event, or keeps it for a client that is away.
   * @param event name and arguments as a JSON array without its closing bracket
   * @returns false if so much is kept for a client that is away that it cannot come back
   */
  send(event: string): boolean {
    // `join` copies the parts. A template would refer to them, and they take twice as much memory.
    const numbered = [event, ',"', this.#start + this.#kept.length, this.#sealed, '"]'].join('')
    this.#kept.push(numbered)
    this.#keptBytes += weigh(numbered)
    this.#touched = performance.now()
    const present = this.#io !== undefined && !this.#isHeld
    if (!present && this.#keptBytes > AWAY_BYTES) return false
    if (present) {
      this.#trim(CONNECTED_BYTES)
      this.#write(numbered)
    } else {
      this.#updateAccount()
    }
    return true
  }

  /**
   * Sends an event of this connection only, such as a handshake: it has no number, and is not kept.
   */
  sendOnce(event: string): void {
    this.#write(event)
  }

  /** Drops events that are older than this: a client that is connected has received them. */
  dropOlderThan(ageMs: number): void {
    if (this.#io === undefined || this.#isHeld || performance.now() - this.#touched < ageMs) return
    this.#trim(0)
    this.#updateAccount()
  }

  #write(event: string): void {
    const io = this.#io
    if (io === undefined) return
    const bytes = event.length
    this.#unsentBytes += bytes
    if (this.#unsentBytes > this.parts.maxUnsentBytes) return this.parts.onOverflow()
    this.#updateAccount()
    const namespace = io.nsp.name === '/' ? '' : `${io.nsp.name},`
    io.conn.write(`${EVENT_PACKET}${namespace}${event}`, { compress: false }, () => {
      if (this.#io !== io) return
      this.#unsentBytes -= bytes
      this.#updateAccount()
    })
  }

  /** Updates the account. If there is no memory left, kept events are dropped first. */
  #updateAccount(): void {
    try {
      this.#account?.resize(this.#keptBytes + this.#unsentBytes)
    } catch {
      if (this.#io === undefined || this.#isHeld || this.#keptBytes === 0)
        return this.parts.onOverflow()
      this.#trim(0)
      this.#updateAccount()
    }
  }

  #trim(bytes: number): void {
    while (this.#keptBytes > bytes) {
      this.#keptBytes -= weigh(this.#kept.shift()!)
      this.#start++
    }
  }
}

function weigh(event: string): number {
  return OVERHEAD_BYTES + event.length
}
