/** Charges the rate limits for work beyond the request or event that causes it. */
import type { Caller } from '../contract/protocol'
import { unlimited, type RateLimiter } from './rates'

/** About how much time of a core a point takes. */
const MS_PER_POINT = 0.5
const BYTES_PER_POINT = 64 * 1024
const ROWS_PER_POINT = 4
const REMOVALS_PER_POINT = 50
const DELIVERIES_PER_POINT = 8
/** For an unread chunked body, of which many 1-byte chunks may have arrived already. */
export const UNREAD_CHUNKS_POINTS = 60

export interface Work {
  /** Parsed, stored or listed. */
  bytes?: number
  /** Stored. */
  rows?: number
  /** Removed rows. */
  removals?: number
  /** Sockets that a message is sent to. */
  deliveries?: number
}

export interface Meter {
  /** Whether addresses are not limited. */
  readonly isOff: boolean
  /**
   * Charges the address and the identity for work before it is done.
   * @throws ApiError ERR_RATE_LIMITED
   */
  spend: (caller: Caller, work: Work) => void | Promise<void>
  /** The same for an address without a proven identity. */
  spendOfAddress: (address: string, work: Work) => void | Promise<void>
  /**
   * Checks that the caller is not over its rate.
   * @throws ApiError ERR_RATE_LIMITED
   */
  check: (caller: Caller) => void | Promise<void>
  /** Charges for work that is done, whose cost was not known before. It never throws. */
  charge: (caller: Caller, work: Work) => void
  /**
   * About how many milliseconds of a core the work takes. For so long its address should make room
   * for others. 0 if addresses are not limited.
   */
  timeOf: (work: Work) => number
}

export function createMeter({
  perAddress,
  perIdentity,
}: {
  perAddress: RateLimiter
  perIdentity: RateLimiter
}): Meter {
  const isOff = perAddress === unlimited
  return {
    isOff,
    spend({ address, identityKey }, work) {
      const points = pointsOf(work)
      if (points === 0) return undefined
      return inTurn(
        () => perAddress.consume(address, points),
        () => perIdentity.consume(identityKey, points),
      )
    },
    check: ({ address, identityKey }) =>
      inTurn(
        () => perAddress.consume(address, 0),
        () => perIdentity.consume(identityKey, 0),
      ),
    spendOfAddress(address, work) {
      const points = pointsOf(work)
      return points === 0 ? undefined : perAddress.consume(address, points)
    },
    charge({ address, identityKey }, work) {
      const points = pointsOf(work)
      if (points === 0) return
      perAddress.charge(address, points)
      perIdentity.charge(identityKey, points)
    },
    timeOf: (work) => (isOff ? 0 : pointsOf(work) * MS_PER_POINT),
  }
}

/** @returns 0 for little work, which its request pays for */
export function pointsOf({ bytes = 0, rows = 0, removals = 0, deliveries = 0 }: Work): number {
  return (
    Math.floor(bytes / BYTES_PER_POINT) +
    Math.floor(rows / ROWS_PER_POINT) +
    Math.floor(removals / REMOVALS_PER_POINT) +
    Math.floor(deliveries / DELIVERIES_PER_POINT)
  )
}

/** Runs the second after the first, so that no rejection is unhandled. Both may throw or reject. */
function inTurn(
  first: () => void | Promise<void>,
  second: () => void | Promise<void>,
): void | Promise<void> {
  const pending = first()
  return pending === undefined ? second() : pending.then(second)
}
