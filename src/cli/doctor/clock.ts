import type { Report } from './finding'

/** A Date header has whole seconds only, so a smaller difference says nothing. */
const WARNING_MS = 3000
const PROBLEM_MS = 60_000

/**
 * Compares this machine's clock with another one.
 * @param there the other clock, in milliseconds since 1970
 * @param asked this machine's clock when it asked; `answered`: when the answer arrived
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
    'Let both machines follow NTP (timedatectl set-ntp true). ' +
    'Retention, sessions and the times of messages depend on it.'
  if (apart > PROBLEM_MS) report.problem('clock', found, advice)
  else if (apart > WARNING_MS) report.warning('clock', found, advice)
  else report.ok('clock', `This machine's clock agrees with ${whose}.`)
}
