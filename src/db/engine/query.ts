import { setTimeout as pause } from 'node:timers/promises'
import { ApiError, type ErrorCode } from '../../contract/errors'
import { CLAIM_LOST, codeOf, isCharacterSetError, isConflict, isTooLarge } from './faults'

/**
 * Runs an operation on the database, one statement or one transaction, and retries it after a
 * deadlock. Turns the database's errors into ApiErrors whose log entry contains no values.
 */
export async function query<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await retryConflicts(work)
  } catch (error) {
    if (error instanceof ApiError || codeOf(error) === CLAIM_LOST) throw error
    const fault = { what: 'the database failed', operation, fault: codeOf(error) }
    throw new ApiError(toErrorCode(error), undefined, {}, { fault })
  }
}

function toErrorCode(error: unknown): ErrorCode {
  if (isTooLarge(error)) return 'ERR_BODY_TOO_LARGE'
  // A retry by the client does not help: the operator has to repair the database.
  return isCharacterSetError(error) ? 'ERR_INTERNAL' : 'ERR_UNAVAILABLE'
}

/** Retries a transaction that the database rolled back because of a conflict with another one. */
export async function retryConflicts<T>(work: () => Promise<T>): Promise<T> {
  const retries = new Retries()
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isConflict(error) || !(await retries.next())) throw error
    }
  }
}

/** How long to retry a transaction: less than a commit may take. */
const MAX_RETRY_MS = 4000
/** The longest pause before the first retry. It doubles each time, up to the maximum. */
const FIRST_PAUSE_MS = 2
const MAX_PAUSE_MS = 100

/** Pauses between retries. They are random, so that two transactions do not meet again. */
export class Retries {
  readonly #end = performance.now() + MAX_RETRY_MS
  #pauseMs = FIRST_PAUSE_MS

  /** Waits for a moment. @returns false if the time for retries is over */
  async next(): Promise<boolean> {
    if (performance.now() > this.#end) return false
    await pause(Math.random() * this.#pauseMs)
    this.#pauseMs = Math.min(MAX_PAUSE_MS, 2 * this.#pauseMs)
    return true
  }
}
