import { expect, test } from '@jest/globals'
import { isoTime } from '../../src/lib/isoTime'

const DAY_MS = 24 * 60 * 60 * 1000
const YEAR_2100 = Date.UTC(2100, 0)

test('formats any time as Date does', () => {
  const times = Array.from({ length: 20_000 }, () => Math.floor(Math.random() * YEAR_2100))
  expect(times.map(isoTime)).toEqual(times.map(toText))
})

test('formats the start and end of days, leap days and years', () => {
  const days = [
    0,
    1,
    Date.UTC(2024, 1, 29),
    Date.UTC(2026, 11, 31),
    Date.UTC(9999, 11, 31),
    Date.UTC(12026, 1),
  ]
  const times = days.flatMap((day) => [day, day + 1, day + 59_999, day + DAY_MS - 1, day + DAY_MS])
  expect(times.map(isoTime)).toEqual(times.map(toText))
})

function toText(time: number): string {
  return new Date(time).toISOString()
}
