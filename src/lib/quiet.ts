import { setTimeout as pause } from 'node:timers/promises'

const QUIET_TURNS = 5
const BUSY_PAUSE_MS = 10

/**
 * Resolves when clients have sent nothing more. Each turn of the event loop accepts a connection
 * and reads what others have sent, so a few turns without an event mean that nothing waits.
 * @param countEvents how many events there were so far
 * @param until when to give up, in milliseconds since 1970: clients may send in every turn
 * @param isBusy whether something is unanswered, which is not quiet
 */
export async function waitUntilQuiet(
  countEvents: () => number,
  until: number,
  isBusy = (): boolean => false,
): Promise<void> {
  for (let turns = 0; turns < QUIET_TURNS && Date.now() < until;) {
    const before = countEvents()
    await (isBusy() ? pause(BUSY_PAUSE_MS) : new Promise(setImmediate))
    turns = isBusy() || countEvents() > before ? 0 : turns + 1
  }
}
