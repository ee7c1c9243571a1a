import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** How much a run measures. */
export interface Plan {
  rounds: number
  /** How long a measurement aims to take, in milliseconds. */
  window: number
  /** How many operations each connection makes at least. */
  leastEach: number
  /** How long each scenario is warmed up on each server, in milliseconds; 0 for a smoke test, whose figures mean little. */
  warmUp: number
  /** How many messages in other boxes a table is filled with, to be held against an empty one; 0 leaves that out. */
  crowd: number
  /** Whether to hold our arrangement against the stock one, and whether to measure what settings cost. */
  arrangements: boolean
  settings: boolean
  /** The folder of another checkout, built, to be held against this one instead; undefined for none. */
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
 * Reads the command line.
 * @returns undefined where help was asked for
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
