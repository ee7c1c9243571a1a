/** The doctor: checks everything that a server needs, and changes nothing. */
import { codeOf } from '../../db/engine/faults'
import type { FlatEnv } from '../../config'
import { withTimeout } from '../../lib/timeout'
import { describeFailure } from '../failure'
import { count } from '../wording'
import type { Check, Subject } from './check'
import { checkDatabase } from './database'
import { createReport, type Finding, type Severity } from './finding'
import { checkMachine } from './machine'
import { checkPort } from './port'
import { checkProxy } from './proxy'
import { checkRedis } from './redis'
import { checkServices } from './services'
import { checkSettings, readBrokenConfig } from './settings'

/** The checks run at the same time. */
const CHECK_TIMEOUT_MS = 12_000

const CHECKS: Record<string, Check> = {
  settings: checkSettings,
  machine: checkMachine,
  database: checkDatabase,
  redis: checkRedis,
  payments: checkServices,
  port: checkPort,
  proxy: checkProxy,
}

export interface Diagnosis {
  /** The worst severity of the findings. */
  status: Severity
  findings: Finding[]
}

/** @param options the public address to check, instead of HOSTING_DOMAIN */
export async function diagnose(env: FlatEnv, { url }: { url?: string } = {}): Promise<Diagnosis> {
  const reading = readBrokenConfig(env)
  const subject: Subject = { env, ...reading, url: url ?? reading.config.http.hostingDomain }
  const results = await Promise.all(
    Object.entries(CHECKS).map(async ([name, check]) => {
      const findings: Finding[] = []
      const report = createReport(name, findings)
      try {
        await withTimeout(
          (async () => {
            await check(subject, report)
          })(),
          CHECK_TIMEOUT_MS,
          `It takes longer than ${CHECK_TIMEOUT_MS / 1000} seconds.`,
        )
      } catch (error) {
        report.problem(
          'check-failed',
          `The check could not be finished (${codeOf(error)}): ${describeFailure(error)}`,
          'Correct the other findings, and run the doctor again.',
        )
      }
      // A copy, since a check may still report after its timeout.
      return [...findings]
    }),
  )
  const findings = results.flat()
  const status =
    (['problem', 'warning'] as const).find((severity) =>
      findings.some((finding) => finding.severity === severity),
    ) ?? 'ok'
  return { status, findings }
}

const MARKS: Record<Severity, string> = { ok: 'ok     ', warning: 'WARNING', problem: 'PROBLEM' }

export function describeDiagnosis({ findings }: Diagnosis): string {
  const lines = findings.flatMap(({ check, severity, found, advice }) => [
    `${MARKS[severity]}  ${check.padEnd(8)}  ${indent(found)}`,
    ...(advice === undefined ? [] : [`${' '.repeat(19)}-> ${indent(advice)}`]),
  ])
  const totals = (['problem', 'warning'] as const).map((severity) =>
    count(findings.filter((finding) => finding.severity === severity).length, severity),
  )
  return [...lines, '', totals.join(', ')].join('\n')
}

function indent(text: string): string {
  return text.replaceAll('\n', `\n${' '.repeat(19)}`)
}
