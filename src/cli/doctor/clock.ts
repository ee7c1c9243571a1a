import type { Report } from './finding'

/** How far two clocks may be apart, in milliseconds: a Date header knows whole seconds alone. */
const SOME = 3000
const FAR = 60_000

/**
 * Compares this machine's clock with another one.
 * @param there what that one said, in milliseconds since 1970
 * @param asked when it was asked, and `answered`, by our own clock
 */
export function compareClock(
  whose: string,
  there: number,
  asked: number,
  answered: number,
  report: Report,
): void {
  const apart = there < asked ? asked - there : Math.max(0, there - answered)
  const found = `This machine's clock and ${whose} are ${(apart / 1000).toFixed(0)} seconds apart.`
  const advice =
    'Let both machines follow NTP (timedatectl set-ntp true). Retention, sessions and the times of messages depend on it.'
  if (apart > FAR) report.problem('clock', found, advice)
  else if (apart > SOME) report.warning('clock', found, advice)
  else report.ok('clock', `This machine's clock agrees with ${whose}.`)
}
