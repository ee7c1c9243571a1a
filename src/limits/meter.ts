/** What work costs beyond the request or event that causes it, in points of the rates. */
import type { Caller } from '../contract/protocol'
import { unlimited, type RateLimiter } from './rates'

/** How long a point takes, about, in milliseconds of a core. */
const POINT_MS = 0.5
/** So much of each costs one point more. */
const BYTES_A_POINT = 64 * 1024
const ROWS_A_POINT = 4
const REMOVALS_A_POINT = 50
const DELIVERIES_A_POINT = 8
/** What a body in chunks costs that is not read: they may be of one byte each, and much has arrived until reading stops. */
export const UNREAD_CHUNKS_POINTS = 60

export interface Work {
  /** Bytes that are parsed, stored or listed. */
  bytes?: number
  /** Rows that are stored. */
  rows?: number
  /** Rows that are removed. */
  removals?: number
  /** Sockets that are told of a message. */
  deliveries?: number
}

export interface Meter {
  /** Whether the work of addresses is not limited. */
  readonly isOff: boolean
  /**
   * Counts work before it is done, for the address and the identity that cause it.
   * @throws ApiError ERR_RATE_LIMITED
   */
  spend: (caller: Caller, work: Work) => void | Promise<void>
  /** The same for an address that has proven no identity yet. */
  spendOfAddress: (address: string, work: Work) => void | Promise<void>
  /**
   * Looks whether the caller may cause more work.
   * @throws ApiError ERR_RATE_LIMITED
   */
  check: (caller: Caller) => void | Promise<void>
  /** Counts work whose cost is known only when it is done: it delays what comes next. */
  charge: (caller: Caller, work: Work) => void
  /** How long work takes, about, in milliseconds of a core: for so long its address should make room for others. 0 if nothing is counted. */
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
    timeOf: (work) => (isOff ? 0 : pointsOf(work) * POINT_MS),
  }
}

/** Small work costs nothing beyond its request. */
export function pointsOf({ bytes = 0, rows = 0, removals = 0, deliveries = 0 }: Work): number {
  return (
    Math.floor(bytes / BYTES_A_POINT) +
    Math.floor(rows / ROWS_A_POINT) +
    Math.floor(removals / REMOVALS_A_POINT) +
    Math.floor(deliveries / DELIVERIES_A_POINT)
  )
}

/** Each may throw at once, or reject. Begins the second when the first has ended, so that no rejection is left unhandled. */
function inTurn(
  first: () => void | Promise<void>,
  second: () => void | Promise<void>,
): void | Promise<void> {
  const pending = first()
  return pending === undefined ? second() : pending.then(second)
}
