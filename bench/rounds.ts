/** Rounds that alternate between two subjects, so that a drift of the machine affects both. */
import type { NativeServerKey } from '../src/auth/serverKey'
import type { FlatEnv } from '../src/config'
import { Session } from '../tools/clients/session'
import type { Closing } from './closing'
import type { BenchDatabase } from './database'
import { measure, type Sample, type Subject } from './measure'
import type { Plan } from './plan'
import { progress, progressDone } from './progress'
import type { Row } from './report'
import type { Scenario } from './scenarios'
import { startServer, type Arrangement } from './serverProcess'
import { summarize } from './statistics'

export interface Candidate {
  name: string
  arrangement: Arrangement
  database: BenchDatabase
  /** Additional settings of the server. */
  env?: FlatEnv
}

export interface Setting {
  plan: Plan
  wallets: NativeServerKey[]
  serverCore: string | undefined
  closing: Closing
}

/**
 * Measures every scenario on both candidates, round by round.
 * @param generations how often to start new processes, since processes of the same program
 *   differ by some per cent
 */
export async function runRounds(
  candidates: Candidate[],
  scenarios: Scenario[],
  setting: Setting,
  generations = 1,
): Promise<Row[]> {
  const samples = new Map<string, Sample[]>()
  for (let generation = 0; generation < generations; generation++) {
    for (const [key, more] of await runGeneration(candidates, scenarios, setting))
      samples.set(key, [...(samples.get(key) ?? []), ...more])
  }
  progressDone()
  return scenarios.map((scenario) => ({
    scenario,
    subjects: candidates.map(({ name }) => [
      name,
      summarize(samples.get(`${scenario.name} ${name}`)!),
    ]),
  }))
}

async function runGeneration(
  candidates: Candidate[],
  scenarios: Scenario[],
  setting: Setting,
): Promise<Map<string, Sample[]>> {
  const { plan } = setting
  const subjects = await Promise.all(
    candidates.map(async (candidate) => await start(candidate, setting)),
  )
  const samples = new Map<string, Sample[]>()
  for (let round = 1; round <= plan.rounds; round++) {
    for (const scenario of scenarios) {
      for (const subject of round % 2 === 1 ? subjects : [...subjects].reverse()) {
        progress(`round ${round} of ${plan.rounds}: ${scenario.name}, ${subject.name}`)
        const key = `${scenario.name} ${subject.name}`
        const earlier = samples.get(key) ?? []
        const sample = await measure(subject, scenario, plan, rateOf(earlier.at(-1))).catch(
          (error: unknown) => {
            throw new Error(
              `${scenario.name}, ${subject.name}: ` +
                `${(error as Error).message}\n${subject.server.log()}`,
            )
          },
        )
        samples.set(key, [...earlier, sample])
      }
    }
  }
  await Promise.all(
    subjects.map(async ({ server }) => {
      await server.stop()
    }),
  )
  return samples
}

/** In operations per millisecond. */
function rateOf(sample: Sample | undefined): number | undefined {
  return sample === undefined ? undefined : sample.operations / (sample.seconds * 1000)
}

async function start(
  { name, arrangement, database, env }: Candidate,
  { plan, wallets, serverCore, closing }: Setting,
): Promise<Subject> {
  const server = await startServer(arrangement, database.config, serverCore, env, plan.profile)
  closing.add(server.stop)
  const sessions: Session[] = []
  for (const wallet of wallets) sessions.push(await Session.open(server.port, wallet))
  return { name, server, sessions, knex: database.knex, databasePid: database.pid }
}
