import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ENGINES, type Engine } from './database'

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
  /** The same for a single box. */
  boxed: number
  /** Whether to compare to the stock server, and whether to measure the cost of settings. */
  arrangements: boolean
  settings: boolean
  /** Whether to compare two workers to one process. */
  workers: boolean
  /** The folder of another built checkout to compare to instead; undefined for none. */
  against?: string
  /** The names of the scenarios to measure; undefined for all. */
  only?: string[]
  /** The engines to measure on: one, or two to compare; undefined for the one that is found. */
  engines?: Engine[]
  /** Whether to measure live deliveries beside lists, purges and backups, and nothing else. */
  disturbances: boolean
  /** The folder that the CPU profiles of servers are written to; undefined for none. */
  profile?: string
}

export const USAGE = `npm run bench            our authentication against the stock arrangement
npm run bench -- --settings  what metrics, logs and limits cost, and nothing else
npm run bench -- --box       a small box against one with 1,000,000 messages, and nothing else
npm run bench -- --workers  two workers against one process on the same cores, and nothing else
npm run bench -- --full  everything, and an empty table against one with 1,000,000 messages
npm run bench -- --against FOLDER  this checkout against another built one, such as a release
npm run bench -- --only send --only live  these scenarios alone; combines with --against
npm run bench -- --database sqlite  on SQLite instead of MySQL or MariaDB
npm run bench -- --database sqlite --database mysql  the first database against the second
npm run bench -- --disturbances  live deliveries on SQLite beside lists, purges and a backup
npm run bench -- --profile FOLDER  writes CPU profiles of our servers there
npm run bench -- --quick a smoke test of the benchmark itself: its figures mean little
`

const DEFAULT: Plan = {
  rounds: 3,
  window: 2500,
  leastEach: 2,
  warmUp: 2500,
  crowd: 0,
  boxed: 0,
  arrangements: true,
  settings: false,
  workers: false,
  disturbances: false,
}
const MANY = 1_000_000
const FEW = 10_000
const QUICK: Plan = {
  rounds: 1,
  window: 0,
  leastEach: 1,
  warmUp: 0,
  crowd: 0,
  boxed: 0,
  arrangements: true,
  settings: true,
  workers: true,
  disturbances: false,
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
      workers: { type: 'boolean' },
      full: { type: 'boolean' },
      box: { type: 'boolean' },
      against: { type: 'string' },
      only: { type: 'string', multiple: true },
      database: { type: 'string', multiple: true },
      disturbances: { type: 'boolean' },
      profile: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) return undefined
  const many = values.quick === true ? FEW : MANY
  const plan: Plan = {
    ...(values.quick === true ? QUICK : DEFAULT),
    ...(values.full === true && {
      settings: true,
      workers: true,
      crowd: many,
      boxed: many,
    }),
    ...(values.only !== undefined && { only: values.only }),
    ...(values.database !== undefined && { engines: values.database.map(parseEngine) }),
    ...(values.profile !== undefined && { profile: resolve(values.profile) }),
  }
  const alone = { ...plan, arrangements: false, settings: false, workers: false }
  const against = values.against === undefined ? {} : { against: resolve(values.against) }
  if (values.disturbances === true)
    return { ...alone, ...against, engines: ['sqlite'], disturbances: true }
  if (values.against !== undefined) return { ...alone, ...against }
  if (values.database?.length === 2) return alone
  if (values.settings === true) return { ...alone, settings: true }
  if (values.box === true) return { ...alone, boxed: many }
  if (values.workers === true) return { ...alone, workers: true }
  return plan
}

function parseEngine(name: string): Engine {
  const engine = ENGINES.find((known) => known === name)
  if (engine === undefined)
    throw new Error(`There is no database "${name}". Choose from: ${ENGINES.join(', ')}`)
  return engine
}

/** @throws Error if the plan names a scenario that does not exist */
export function checkNames({ only = [] }: Plan, scenarios: Array<{ name: string }>): void {
  const names = scenarios.map(({ name }) => name)
  const unknown = only.find((name) => !names.includes(name))
  if (unknown !== undefined)
    throw new Error(`There is no scenario "${unknown}". Choose from: ${names.join('; ')}`)
}

/** The scenarios that the plan names. */
export function chosen<T extends { name: string }>(scenarios: T[], { only }: Plan): T[] {
  return only === undefined ? scenarios : scenarios.filter(({ name }) => only.includes(name))
}
