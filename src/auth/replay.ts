/**
 * The nonces seen recently, so that the server rejects captured messages. They are kept as 32-bit
 * fingerprints in tables of fixed size, at about 5 bytes each. A new table begins when the newest
 * is full or as old as the window. A table is dropped a window after the next one began, and the
 * oldest is dropped if there are too many.
 *
 * About one nonce in 30 million has the fingerprint and the place of an earlier one. It counts as a
 * repeat: the server answers 401, and the client makes a new handshake.
 */
import { createHmac, randomBytes } from 'node:crypto'

export interface ReplayGuard {
  /** Remembers a nonce of an identity. False if it was seen before: the message is a repeat. */
  firstSeen: (identityKey: string, nonce: string) => boolean | Promise<boolean>
}

/** How long a nonce is remembered at least, unless the tables are full before. */
export const REPLAY_WINDOW_MS = 6 * 60 * 60 * 1000
/** The cells of a table, a power of two, and how many of them are used. */
const CELLS = 1 << 20
const FILL = 0.75
/** 64 MiB in all. */
const MAX_TABLES = 16

export class MemoryReplayGuard implements ReplayGuard {
  /** Fingerprints are keyed, so that an attacker cannot search for two nonces that share one. */
  readonly #key = randomBytes(32)
  /** The newest first. */
  #tables: FingerprintTable[]

  /**
   * @param windowMs how long a nonce is remembered
   * @param cells the size of a table, a power of two
   * @param maxTables how many there are at most
   */
  constructor(
    private readonly windowMs = REPLAY_WINDOW_MS,
    private readonly cells = CELLS,
    private readonly maxTables = MAX_TABLES,
  ) {
    this.#tables = [new FingerprintTable(cells)]
  }

  firstSeen(identityKey: string, nonce: string): boolean {
    const digest = createHmac('sha256', this.#key).update(identityKey).update(nonce).digest()
    const place = digest.readUInt32LE(0)
    const print = digest.readUInt32LE(4) || 1 // zero marks a free cell
    const now = performance.now()
    const newest = this.#tables[0]!
    if (newest.count >= this.cells * FILL || now - newest.since > this.windowMs) this.#rotate(now)
    const [current, ...older] = this.#tables
    return !older.some((table) => table.has(place, print)) && current!.add(place, print)
  }

  /** Begins a table. All nonces of a table are as old as the start of the next one, or older. */
  #rotate(now: number): void {
    const kept = this.#tables.filter(
      (_table, index) => index === 0 || now - this.#tables[index - 1]!.since <= this.windowMs,
    )
    this.#tables = [new FingerprintTable(this.cells, now), ...kept].slice(0, this.maxTables)
  }
}

/** A set of fingerprints with open addressing. */
class FingerprintTable {
  count = 0
  readonly #cells: Uint32Array

  /** @param since on the clock of `performance.now()` */
  constructor(
    cells: number,
    readonly since = performance.now(),
  ) {
    this.#cells = new Uint32Array(cells)
  }

  has(place: number, print: number): boolean {
    return this.#cells[this.#find(place, print)] !== 0
  }

  /** False if it is there already. */
  add(place: number, print: number): boolean {
    const cell = this.#find(place, print)
    if (this.#cells[cell] !== 0) return false
    this.#cells[cell] = print
    this.count++
    return true
  }

  /** The cell of a fingerprint, or else the free cell where it would be stored. */
  #find(place: number, print: number): number {
    const mask = this.#cells.length - 1
    let cell = place & mask
    while (this.#cells[cell] !== 0 && this.#cells[cell] !== print) cell = (cell + 1) & mask
    return cell
  }
}
