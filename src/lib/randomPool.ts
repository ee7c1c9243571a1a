import { randomBytes } from 'node:crypto'

const POOL_BYTES = 8192

let pool = Buffer.alloc(0)
let used = 0

/**
 * Random bytes for nonces. The operating system's generator is asked for many at once: a call for
 * a few costs more than a response's other hashes.
 * @param count up to 8192
 * @returns bytes that no other caller gets
 */
export function drawRandomBytes(count: number): Buffer {
  if (used + count > pool.length) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  used += count
  return pool.subarray(used - count, used)
}
