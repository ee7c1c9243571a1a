const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const DAY_MS = 24 * HOUR_MS

const digits = (count: number, width: number): string[] =>
  Array.from({ length: count }, (_, number) => String(number).padStart(width, '0'))
const TWO = digits(60, 2)
const THREE = digits(1000, 3)

let lastDay = NaN
let lastDate = ''

/**
 * Formats a time like `Date.toISOString`, eight times as fast: a list of messages needs hundreds,
 * most of them of one day.
 * @param time whole milliseconds since 1970, not negative
 */
export function isoTime(time: number): string {
  const day = Math.floor(time / DAY_MS)
  if (day !== lastDay) {
    ;[lastDate] = new Date(day * DAY_MS).toISOString().split('T') as [string]
    lastDay = day
  }
  const rest = time - day * DAY_MS
  const hours = TWO[Math.floor(rest / HOUR_MS)]
  const minutes = TWO[Math.floor(rest / MINUTE_MS) % 60]
  const seconds = TWO[Math.floor(rest / 1000) % 60]
  return `${lastDate}T${hours}:${minutes}:${seconds}.${THREE[rest % 1000]}Z`
}
