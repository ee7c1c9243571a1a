import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** The extent of a run. */
export interface Plan {
  rounds: number
  /** The target duration of a measurement, in milliseconds. */
  window: number
  /** The minimum number of operations for each connection. */
  leastEach: number
  /** The warm-up of each scenario on each server, in milliseconds; 0 for a smoke test. */
  warmUp: number
  /** How many messages fill the table that is compared to an empty one; 0 skips the comparison. */
  crowd: number
  /** Whether to compare to the stock server, and whether to measure the cost of settings. */
  arrangements: boolean
  settings: boolean
  /** The folder of another built checkout to compare to instead; undefined for none. */
  against?: string
}

export const USAGE = `npm run bench            our authentication against the stock arrangement
npm run bench -- --settings  what metrics, logs and limits cost, and nothing else
npm run bench -- --full  everything, and an empty table against one with 1,000,000 messages in other boxes
npm run bench -- --against FOLDER  this checkout against another one that is built, such as the release before
npm run bench -- --quick a smoke test of the benchmark itself: its figures mean little
`

const DEFAULT: Plan = {
  rounds: 3,
  window: 2500,
  leastEach: 2,
  warmUp: 2500,
  crowd: 0,
  arrangements: true,
  settings: false,
}
const FULL: Plan = { ...DEFAULT, crowd: 1_000_000, settings: true }
const QUICK: Plan = {
  rounds: 1,
  window: 0,
  leastEach: 1,
  warmUp: 0,
  crowd: 0,
  arrangements: true,
  settings: true,
}

/**
 * Parses the command line.
 * @returns undefined if help is requested
 * @throws Error on an unknown argument
 */
export function parsePlan(args: string[]): Plan | undefined {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean' },
      settings: { type: 'boolean' },
      full: { type: 'boolean' },
      against: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) return undefined
  if (values.quick === true) return values.full === true ? { ...QUICK, crowd: 10_000 } : QUICK
  if (values.against !== undefined)
    return { ...DEFAULT, arrangements: false, against: resolve(values.against) }
  if (values.settings === true) return { ...DEFAULT, arrangements: false, settings: true }
  return values.full === true ? FULL : DEFAULT
}
