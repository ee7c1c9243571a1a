import { setTimeout as pause } from 'node:timers/promises'
import { isConflict } from './faults'

/** How long a transaction is tried again that others keep locks or ids from: shorter than a commit may take. */
const RETRY_MS = 4000
/** The longest pause before the first attempt after a failure; it doubles each time, up to the second figure. */
const FIRST_PAUSE_MS = 2
const MAX_PAUSE_MS = 100

/** Decides whether a transaction is tried again. Pauses are random, so that two that got in each other's way do not meet again. */
export class Retries {
  readonly #end = performance.now() + RETRY_MS
  #pauseMs = FIRST_PAUSE_MS

  /**
   * Waits for a moment.
   * @returns false if the time for attempts is over
   */
  async next(): Promise<boolean> {
    if (performance.now() > this.#end) return false
    await pause(Math.random() * this.#pauseMs)
    this.#pauseMs = Math.min(MAX_PAUSE_MS, 2 * this.#pauseMs)
    return true
  }
}

/** Runs a transaction, again and again while it gets in others' way. */
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
