/** The report: the machine, the results, and the ratios with their goals. */
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import type { DatabaseServer } from './database'
import type { Plan } from './plan'
import { IDENTITIES, type Scenario } from './scenarios'
import type { Summary } from './statistics'
import { figure, table } from './table'

export function describeRun(databases: DatabaseServer[], pinning: string, plan: Plan): string {
  const gibibytes = Math.round(totalmem() / 1024 ** 3)
  const model = cpus()[0]?.model ?? 'unknown processor'
  const processor = `${model}, ${cpus().length} cores, ${gibibytes} GiB`
  const system = `${type()} ${release().split('.').slice(0, 2).join('.')}, Node ${process.version}`
  const time = new Date().toISOString().slice(0, 16).replace('T', ' ')
  return [
    `MessageBox server, benchmark of ${time} UTC`,
    '',
    `machine    ${processor}; ${system}; load average ${loadavg()[0]!.toFixed(1)} at the start`,
    ...databases.map(({ description }) => `database   ${description}`),
    `pinning    ${pinning}`,
    `load       ${IDENTITIES} identities, requests signed beforehand; ${describeRounds(plan)}`,
    ...databases.flatMap(({ warning }) =>
      warning === undefined ? [] : ['', `*** ${warning} ***`],
    ),
  ].join('\n')
}

function describeRounds({ rounds, window, warmUp }: Plan): string {
  if (warmUp === 0) return 'a smoke test, on cold servers: THE FIGURES MEAN LITTLE'
  return `${rounds} rounds of about ${window / 1000} s each, in turn, on servers warmed up`
}

export interface Row {
  scenario: Pick<Scenario, 'name' | 'connections' | 'goal'>
  subjects: Array<[name: string, summary: Summary]>
}

/** The results of every subject for every scenario. */
export function figures(rows: Row[]): string {
  const heading = [
    '',
    '',
    'clients',
    'per second',
    '(slowest..fastest)',
    'p50 ms',
    'p99 ms',
    'CPU ms each',
    'database ms',
    'core used',
  ]
  return table([
    heading,
    ...rows.flatMap(({ scenario, subjects }) =>
      subjects.map(([name, summary], index) => [
        index === 0 ? scenario.name : '',
        name,
        String(scenario.connections),
        figure(summary.rate),
        `(${figure(summary.slowest)}..${figure(summary.fastest)})`,
        figure(summary.p50),
        figure(summary.p99),
        figure(summary.serverCpu),
        figure(summary.databaseCpu),
        summary.busy === undefined ? '-' : `${Math.round(summary.busy * 100)} %`,
      ]),
    ),
  ])
}

export const LEGEND = `CPU ms each: CPU time of the server's process for one;
database ms: that of the database's process, including other queries.
core used: the share of its core that the server used. Below about 90 % it waited for the database,
the load, or other programs.`

/** Compares the first subject to the second. */
export function ratios(rows: Row[]): string {
  const [first = '', second = ''] = rows[0]?.subjects.map(([name]) => name) ?? []
  const heading = [
    `${first} : ${second}`,
    'per second',
    'CPU each',
    'database',
    ...(rows.some(({ scenario }) => scenario.goal !== undefined) ? ['to reach', ''] : []),
  ]
  return table([
    heading,
    ...rows.map(({ scenario, subjects }) => {
      const [a, b] = subjects.map(([, summary]) => summary) as [Summary, Summary]
      const ratio = a.rate / b.rate
      const { goal } = scenario
      return [
        scenario.name,
        times(ratio),
        times(quotient(a.serverCpu, b.serverCpu)),
        times(quotient(a.databaseCpu, b.databaseCpu)),
        ...(goal === undefined ? [] : [times(goal), ratio >= goal ? 'reached' : 'MISSED']),
      ]
    }),
  ])
}

function times(ratio: number | undefined): string {
  return ratio === undefined ? '-' : `${figure(ratio)} x`
}

function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined || b === 0 ? undefined : a / b
}
