/**
 * The nonces seen of late, so that a captured message is worth nothing. Memory is fixed: two tables of 64-bit
 * fingerprints, the newer of which takes the older's place when it is full or old. A nonce is thus remembered
 * for at least one table's capacity or one window, whichever ends first.
 */
import { createHmac, randomBytes } from 'node:crypto'

export interface ReplayGuard {
  /** Remembers a nonce of an identity. False where it was seen before: the message is a repeat. */
  firstSeen: (identityKey: string, nonce: string) => boolean | Promise<boolean>
}

const SLOTS = 1 << 20
/** In milliseconds. */
export const REPLAY_WINDOW = 10 * 60 * 1000

export class MemoryReplayGuard implements ReplayGuard {
  /** Fingerprints are keyed, so that nobody can look for two nonces that share one. */
  readonly #key = randomBytes(32)
  readonly #slots: number
  readonly #window: number
  #current: FingerprintTable
  #previous: FingerprintTable
  #since = Date.now()

  /**
   * @param slots size of each of the two tables, a power of two; half of it is used, at 8 bytes a slot
   * @param window after how many milliseconds a table becomes the older one
   */
  constructor (slots = SLOTS, window = REPLAY_WINDOW) {
    this.#slots = slots
    this.#window = window
    this.#current = new FingerprintTable(slots)
    this.#previous = new FingerprintTable(slots)
  }

  firstSeen (identityKey: string, nonce: string): boolean {
    const digest = createHmac('sha256', this.#key).update(identityKey).update(nonce).digest()
    const low = digest.readUInt32LE(0)
    const high = digest.readUInt32LE(4) | 1 // never zero: zero marks a free slot
    if (this.#current.count >= this.#slots / 2 || Date.now() - this.#since > this.#window) this.#rotate()
    if (this.#previous.has(low, high)) return false
    return this.#current.add(low, high)
  }

  #rotate (): void {
    const oldest = this.#previous
    this.#previous = this.#current
    oldest.clear()
    this.#current = oldest
    this.#since = Date.now()
  }
}

/** An open-addressing set of pairs of 32-bit numbers, the second of which is not zero. */
class FingerprintTable {
  count = 0
  readonly #cells: Uint32Array
  readonly #mask: number

  constructor (slots: number) {
    this.#cells = new Uint32Array(slots * 2)
    this.#mask = slots - 1
  }

  has (low: number, high: number): boolean {
    return this.#cells[this.#find(low, high) + 1] !== 0
  }

  /** False where the pair was there already. */
  add (low: number, high: number): boolean {
    const cell = this.#find(low, high)
    if (this.#cells[cell + 1] !== 0) return false
    this.#cells[cell] = low
    this.#cells[cell + 1] = high
    this.count++
    return true
  }

  clear (): void {
    this.#cells.fill(0)
    this.count = 0
  }

  /** Where the pair stands, or else the free cell where it would. */
  #find (low: number, high: number): number {
    const wanted = high >>> 0
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const found = this.#cells[slot * 2 + 1]
      if (found === 0 || (found === wanted && this.#cells[slot * 2] === low)) return slot * 2
    }
  }
}
