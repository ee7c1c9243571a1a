import type { Config, ConfigProblem, FlatEnv, Variable } from '../../config'
import type { Report } from './finding'

/** What there is to examine. */
export interface Subject {
  env: FlatEnv
  /** As far as it could be understood; what could not is as if it were not set. */
  config: Config
  problems: ConfigProblem[]
  /** The variables that were not understood. */
  broken: Set<Variable>
  /** The public address; undefined where there is none. */
  url: string | undefined
}

export type Check = (subject: Subject, report: Report) => Promise<void> | void
