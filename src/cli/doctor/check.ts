import type { Config, ConfigProblem, FlatEnv, Variable } from '../../config'
import type { Report } from './finding'

export interface Subject {
  env: FlatEnv
  /** Invalid variables count as not set. */
  config: Config
  problems: ConfigProblem[]
  /** The invalid variables. */
  broken: Set<Variable>
  /** The public address. */
  url: string | undefined
}

export type Check = (subject: Subject, report: Report) => Promise<void> | void
