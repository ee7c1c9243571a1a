/**
 * The benchmark: compares the compiled server with its own authentication to the stock one, over
 * HTTP and sockets. With --full, it also compares an empty table to a full one. Results go to
 * standard output.
 */
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { newWallet } from '../tools/clients/session'
import { compareBoxes } from './box'
import { Closing } from './closing'
import {
  findDatabaseServer,
  forgetMigrations,
  type BenchDatabase,
  type DatabaseServer,
} from './database'
import { compareDisturbances } from './disturbances'
import { compareToLimit } from './limit'
import { compareLive, LIVE_SCENARIOS } from './live'
import { fillBox } from './messages'
import { pin, UNPINNED } from './pinning'
import { checkNames, chosen, parsePlan, USAGE } from './plan'
import { progress, progressDone } from './progress'
import { describeRun, figures, LEGEND, ratios } from './report'
import { runRounds, type Candidate, type Setting } from './rounds'
import { ACKNOWLEDGE, IDENTITIES, LIST_100, SCENARIOS, SEND, type Scenario } from './scenarios'

async function main(closing: Closing): Promise<void> {
  const plan = parsePlan(process.argv.slice(2))
  if (plan === undefined) return print(USAGE)
  checkNames(plan, [...SCENARIOS, ...LIVE_SCENARIOS])
  const servers: DatabaseServer[] = []
  for (const engine of plan.engines ?? [undefined]) {
    const server = await findDatabaseServer(engine)
    closing.add(server.close)
    servers.push(server)
  }
  const [databases] = servers as [DatabaseServer]
  const separate = servers.find(({ pid }) => pid !== 'embedded')
  const pinning = plan.disturbances
    ? UNPINNED
    : pin(separate === undefined ? 'embedded' : separate.pid)
  closing.add(pinning.restore)
  const started = performance.now()
  const wallets = Array.from({ length: IDENTITIES }, newWallet)
  const setting: Setting = { plan, wallets, serverCore: pinning.serverCore, closing }
  print(`${describeRun(servers, pinning.description, plan)}\n`)
  if (plan.arrangements) {
    await compareArrangements(databases, setting)
    print(`\n${await compareLive(databases, setting)}`)
  }
  if (plan.disturbances) print(await compareDisturbances(databases, setting))
  else if (plan.against !== undefined) await compareCheckouts(databases, setting, plan.against)
  if (servers.length > 1) await compareEngines(servers, setting)
  if (plan.settings) await compareSettings(databases, setting)
  if (plan.boxed > 0) {
    const full = await createDatabase(databases, [], setting)
    const small = await createDatabase(databases, [], setting)
    print(`\n${await compareBoxes(full, small, plan.boxed, setting)}`)
  }
  if (plan.crowd > 0) await compareTables(databases, setting)
  else if (plan.arrangements)
    print(
      '\nLeft out: an empty table against a full one, which takes minutes more: ' +
        'npm run bench -- --full',
    )
  if (plan.workers) {
    // Two workers use two cores, so the load and the database get no core of their own.
    pinning.restore()
    await compareWorkers(databases, { ...setting, serverCore: undefined })
  }
  print(`\nIt took ${Math.round((performance.now() - started) / 1000)} s.`)
}

async function compareArrangements(databases: DatabaseServer, setting: Setting): Promise<void> {
  const all = setting.plan.warmUp === 0 ? withoutGoals(SCENARIOS) : SCENARIOS
  const scenarios = chosen(all, setting.plan)
  const database = await createDatabase(databases, scenarios, setting)
  const rows = await runRounds(
    [
      { name: 'ours', arrangement: 'ours', database },
      { name: 'stock', arrangement: 'stock', database },
    ],
    scenarios,
    setting,
  )
  if (rows.length === 0) return
  print(`${figures(rows)}\n\n${LEGEND}\n\n${ratios(rows)}`)
  const send = rows.find(({ scenario }) => scenario.name === SEND.name)
  if (send !== undefined) print(`\n${await compareToLimit(send.subjects[0]![1].rate, setting)}`)
}

/** Compares this server on one database to the same one on another database. */
async function compareEngines(servers: DatabaseServer[], setting: Setting): Promise<void> {
  const scenarios = chosen(withoutGoals(SCENARIOS), setting.plan)
  const candidates: Candidate[] = []
  for (const databases of servers)
    candidates.push({
      name: databases.engine,
      arrangement: 'ours',
      database: await createDatabase(databases, scenarios, setting),
    })
  const rows = await runRounds(candidates, scenarios, setting)
  print(`${figures(rows)}\n\n${LEGEND}\n\n${ratios(rows)}`)
}

/** Compares two checkouts, to find out whether a change made anything slower. */
async function compareCheckouts(
  databases: DatabaseServer,
  setting: Setting,
  folder: string,
): Promise<void> {
  const scenarios = chosen(withoutGoals(SCENARIOS), setting.plan)
  const database = await createDatabase(databases, scenarios, setting)
  const other = await createDatabase(databases, scenarios, setting)
  await forgetMigrations(other, folder)
  const rows = await runRounds(
    [
      { name: 'this', arrangement: 'ours', database },
      { name: 'other', arrangement: { folder }, database: other },
    ],
    scenarios,
    { ...setting, plan: { ...setting.plan, rounds: 2 } },
    GENERATIONS,
  )
  print(
    `This checkout against ${folder}:\n\n${figures(rows)}\n\n${ratios(rows)}\n\n` +
      (await compareLive(databases, setting, ['other', { folder }])),
  )
}

/** Compares two workers to one process. All programs share the cores. */
async function compareWorkers(databases: DatabaseServer, setting: Setting): Promise<void> {
  if (databases.pid === 'embedded')
    return print('\nLeft out: two workers against one process, which need MySQL or MariaDB.')
  const isSmoke = setting.plan.warmUp === 0
  const scenarios = withoutGoals(chosen(WORKER_SCENARIOS, setting.plan)).map((scenario) =>
    scenario.name === SEND.name
      ? { ...scenario, connections: SENDERS, ...(!isSmoke && { goal: WORKERS_GOAL }) }
      : scenario,
  )
  const database = await createDatabase(databases, scenarios, setting)
  const candidate = (name: string, workers: number): Candidate => ({
    name,
    arrangement: 'ours',
    database,
    env: {
      WORKERS: String(workers),
      // Limits that are never reached, since workers count together.
      RATE_LIMIT_ADDRESS: '100000000',
      RATE_LIMIT_IDENTITY: '100000000',
    },
  })
  const rows = await runRounds(
    [candidate('2 workers', 2), candidate('1 process', 1)],
    scenarios,
    setting,
    isSmoke ? 1 : WORKER_GENERATIONS,
  )
  print(
    `\nTwo workers against one process, on ${availableParallelism()} cores which the load and ` +
      `the database share:\n\n${figures(rows)}\n\n${ratios(rows)}`,
  )
}

const WORKER_SCENARIOS = [SEND, LIST_100, ACKNOWLEDGE]
/** With fewer, commits of two workers are small, and the senders wait for the disk. */
const SENDERS = 128
/** The load and the database take a part of the two cores. */
const WORKERS_GOAL = 1.3
const WORKER_GENERATIONS = 2

/** The differences are small, so several processes are measured. */
const GENERATIONS = 4

/** Compares sends and lists on an empty table to those on a full one. */
async function compareTables(databases: DatabaseServer, setting: Setting): Promise<void> {
  const scenarios = withoutGoals([SEND, LIST_100])
  const empty = await createDatabase(databases, scenarios, setting)
  const full = await createDatabase(databases, scenarios, setting)
  await fillWithOthers(full, setting.plan.crowd)
  const rows = await runRounds(
    [
      { name: 'full table', arrangement: 'ours', database: full },
      { name: 'empty table', arrangement: 'ours', database: empty },
    ],
    scenarios,
    { ...setting, plan: { ...setting.plan, rounds: 2 } },
    GENERATIONS,
  )
  print(
    `\nWith ${setting.plan.crowd.toLocaleString('en-US')} messages in other boxes, and with none:` +
      `\n\n${figures(rows)}\n\n${ratios(rows)}`,
  )
}

/** The goals apply to the comparison with the stock server, and to warm servers. */
function withoutGoals(scenarios: Scenario[]): Scenario[] {
  return scenarios.map(({ goal: _goal, ...scenario }) => scenario)
}

async function createDatabase(
  databases: DatabaseServer,
  scenarios: Scenario[],
  { wallets, closing }: Setting,
): Promise<BenchDatabase> {
  const database = await databases.create()
  closing.add(database.drop)
  for (const scenario of scenarios) {
    progress(`writing what is read in "${scenario.name}"`)
    await scenario.setUp?.(
      database.knex,
      wallets.map(({ identityKey }) => identityKey),
    )
  }
  return database
}

interface Comparison {
  title: string
  scenarios: Scenario[]
  on: Candidate
  off: Candidate
}

/** Measures the cost of optional settings. */
async function compareSettings(databases: DatabaseServer, setting: Setting): Promise<void> {
  const scenarios = withoutGoals([SEND, LIST_100, ACKNOWLEDGE])
  const database = await createDatabase(databases, scenarios, setting)
  // Two servers on the same tables would disagree on whether to count.
  const uncounted = await createDatabase(databases, scenarios, setting)
  const comparisons: Comparison[] = [
    {
      title: 'Metrics and a line in the log for each request, and neither',
      scenarios,
      on: {
        name: 'on',
        arrangement: 'ours',
        database,
        env: { METRICS_PORT: '0', LOG_LEVEL: 'info' },
      },
      off: { name: 'off', arrangement: 'ours', database },
    },
    {
      title: 'All limits on (rates, quotas, requests at once), and all off',
      scenarios,
      on: {
        name: 'on',
        arrangement: 'ours',
        database,
        env: { RATE_LIMIT_ADDRESS: '100000000', RATE_LIMIT_IDENTITY: '100000000' },
      },
      off: { name: 'off', arrangement: 'ours', database: uncounted, env: NO_LIMITS },
    },
  ]
  for (const { title, scenarios, on, off } of comparisons) {
    const rows = await runRounds(
      [on, off],
      scenarios,
      { ...setting, plan: { ...setting.plan, rounds: 2 } },
      GENERATIONS,
    )
    print(`\n${title}:\n\n${figures(rows)}\n\n${ratios(rows)}`)
  }
}

const NO_LIMITS = {
  INBOX_QUOTA_MESSAGES: 'off',
  INBOX_QUOTA_BYTES: 'off',
  SENDER_QUOTA_MESSAGES: 'off',
  SENDER_QUOTA_BYTES: 'off',
  MAX_CONCURRENT_REQUESTS: 'off',
}

/** Boxes of uninvolved recipients, with 4,000 small messages each. */
async function fillWithOthers({ knex }: BenchDatabase, count: number): Promise<void> {
  const each = Math.min(4000, count)
  for (let done = 0; done < count; done += each) {
    progress(
      `filling the table: ${done.toLocaleString('en-US')} of ${count.toLocaleString('en-US')}`,
    )
    await fillBox(knex, `02${randomBytes(32).toString('hex')}`, 'inbox', each, 100)
  }
  progressDone()
}

function print(text: string): void {
  progressDone()
  process.stdout.write(`${text}\n`)
}

const closing = new Closing()
main(closing)
  .catch((error: unknown) => {
    process.exitCode = 1
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`)
  })
  .finally(() => {
    void closing.run()
  })
