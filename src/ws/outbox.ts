/**
 * What a socket's client is sent. Each event has a number behind it, which the client shows when it comes back: so what
 * may have been lost in a broken connection is kept for a while, and sent again. All of it counts for the memory of
 * unread output.
 */
import type { Socket } from 'socket.io'
import type { ByteAccount } from '../limits/budget'

/** About how many bytes of events are kept for a client that is connected, and for one that is away. */
const CONNECTED_BYTES = 64 * 1024
const AWAY_BYTES = 1024 * 1024
/** What an event takes beside its text, in bytes. */
const OVERHEAD_BYTES = 128
/** How Socket.IO's packets of an event begin. */
const EVENT_PACKET = '2'

export interface OutboxParts {
  /** A client that leaves more bytes than this unread is cut off. */
  maxUnsentBytes: number
  /** Opens an account of the memory for output. */
  openAccount: (end: () => void) => ByteAccount
  /** The client reads too slowly, or its owner has no memory left. */
  onOverflow: () => void
}

export class Outbox {
  /** The events that are kept; `#start` is the number of the first one. */
  #kept: string[] = []
  #start = 1
  #keptBytes = 0
  #touched = performance.now()
  #io: Socket | undefined
  /** What is written to the connection, and not yet taken by the system. */
  #unsentBytes = 0
  #account: ByteAccount | undefined
  /** What stands behind each number; see `memberships.ts`. */
  #sealed = ''
  /** Until the client has proven itself on a new connection, it is sent nothing that is kept. */
  #held = false

  constructor(private readonly parts: OutboxParts) {}

  /** Sets what stands behind the number of each event from now on. */
  set sealed(text: string) {
    this.#sealed = text === '' ? '' : `.${text}`
  }

  /** Whether everything is still there that a client has not got which has got this number. */
  canResume(offset: number): boolean {
    return offset >= this.#start - 1 && offset < this.#start + this.#kept.length
  }

  /** Takes a connection over. */
  attach(io: Socket): void {
    this.#io = io
    this.#unsentBytes = 0
    this.changeOwners()
  }

  /** Opens the account anew: for the address of another connection, or for an identity that is proven now. */
  changeOwners(): void {
    this.#account?.close()
    this.#account = this.parts.openAccount(this.parts.onOverflow)
    this.#settle()
  }

  /** Keeps events back until `release`. */
  hold(): void {
    this.#held = true
  }

  /** Sends what is kept behind the number that the client has shown, and whatever comes. */
  release(offset: number): void {
    this.#held = false
    for (const event of this.#kept.slice(Math.max(0, offset + 1 - this.#start))) this.#write(event)
  }

  /** The connection is broken; its client may come back. */
  detach(): void {
    this.#io = undefined
    this.#unsentBytes = 0
    // The account may have ended, and the connection with it; what is kept counts all the same.
    this.changeOwners()
  }

  /** Lets go of everything. */
  close(): void {
    this.#io = undefined
    this.#account?.close()
  }

  /**
   * Sends an event, or keeps it for a client that is away.
   * @param event name and arguments as a JSON array, but for its closing bracket
   * @returns false if so much is kept for a client that is away that it cannot come back
   */
  send(event: string): boolean {
    const numbered = `${event},"${this.#start + this.#kept.length}${this.#sealed}"]`
    this.#kept.push(numbered)
    this.#keptBytes += weigh(numbered)
    this.#touched = performance.now()
    const present = this.#io !== undefined && !this.#held
    if (!present && this.#keptBytes > AWAY_BYTES) return false
    if (present) {
      this.#trim(CONNECTED_BYTES)
      this.#write(numbered)
    } else {
      this.#settle()
    }
    return true
  }

  /** Sends an event of this connection alone, such as a handshake: it has no number, and is not kept. */
  sendOnce(event: string): void {
    this.#write(event)
  }

  /** Lets go of events that are older than this, in milliseconds: a client that is connected has them by now. */
  forget(age: number): void {
    if (this.#io === undefined || this.#held || performance.now() - this.#touched < age) return
    this.#trim(0)
    this.#settle()
  }

  #write(event: string): void {
    const io = this.#io
    if (io === undefined) return
    const bytes = event.length
    this.#unsentBytes += bytes
    if (this.#unsentBytes > this.parts.maxUnsentBytes) return this.parts.onOverflow()
    this.#settle()
    const namespace = io.nsp.name === '/' ? '' : `${io.nsp.name},`
    io.conn.write(`${EVENT_PACKET}${namespace}${event}`, { compress: false }, () => {
      if (this.#io !== io) return
      this.#unsentBytes -= bytes
      this.#settle()
    })
  }

  /** Tells the account. If there is no memory left, what is kept for a possible return goes first. */
  #settle(): void {
    try {
      this.#account?.resize(this.#keptBytes + this.#unsentBytes)
    } catch {
      if (this.#io === undefined || this.#held || this.#keptBytes === 0)
        return this.parts.onOverflow()
      this.#trim(0)
      this.#settle()
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
