/** With a `problem` the server does not work properly; with a `warning` it may not. */
export type Severity = 'ok' | 'warning' | 'problem'

export interface Finding {
  /** What was checked: settings, database, … */
  check: string
  severity: Severity
  /** A stable name, for scripts. */
  code: string
  found: string
  /** What to do about it; absent for `ok`. */
  advice?: string
}

/** Takes the findings of one check. */
export interface Report {
  ok: (code: string, found: string) => void
  warning: (code: string, found: string, advice: string) => void
  problem: (code: string, found: string, advice: string) => void
}

export function createReport(check: string, findings: Finding[]): Report {
  const take =
    (severity: Severity) =>
    (code: string, found: string, advice?: string): void => {
      findings.push({ check, severity, code, found, ...(advice !== undefined && { advice }) })
    }
  return { ok: take('ok'), warning: take('warning'), problem: take('problem') }
}
