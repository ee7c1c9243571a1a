import { ApiError } from '../../contract/errors'
import { withTimeout } from '../../lib/timeout'
import { isDataError } from './faults'

export interface Job {
  rows: number
  bytes: number
  /** Two jobs that have a key in common never share a transaction. */
  keys: string[]
  /** Whether the job needs a transaction of its own. */
  alone?: boolean
}

interface Waiting<J, A> {
  job: J
  /** When it arrived, in milliseconds since 1970. */
  since: number
  /** Its batch failed because of one row: it is retried alone. */
  alone?: true
  resolve: (answer: A) => void
  reject: (error: unknown) => void
}

/** Called after each commit: how many rows it stored or removed, and how many seconds it took. */
export type OnCommit = (rows: number, seconds: number) => void

/** The answers to the jobs of a batch, in their order, and how many rows the batch changed. */
export interface Committed<A> {
  answers: Array<A | ApiError>
  rows: number
}

/** How many rows one transaction has. A single job may have more. */
export const MAX_ROWS = 500
/** The time for a commit, beside the time for its bytes. After that, its outcome is unknown. */
const COMMIT_TIMEOUT_MS = 5000
const BYTES_PER_MS = 10_000
/** A job that has waited longer is rejected if a commit fails. */
const MAX_WAIT_MS = 1000

/**
 * Batches jobs: while one commit runs, new jobs wait, and the next commit takes them together. So a
 * busy server pays for one sync to disk, or one query, for many jobs. Each job has its own answer,
 * and a job whose data the database rejects fails alone. `J` is a job, `A` its answer.
 */
export class BatchQueue<J extends Job, A> {
  #waiting: Array<Waiting<J, A>> = []
  #running = false

  /**
   * @param commit carries out jobs together
   * @param maxBytes how many bytes the jobs of one batch have; a single job may have more
   */
  constructor(
    private readonly commit: (jobs: J[]) => Promise<Committed<A>>,
    private readonly onCommit: OnCommit = () => {},
    private readonly maxBytes = () => Infinity,
  ) {}

  /** @throws the ApiError that `commit` answered, or the database's error */
  async run(job: J): Promise<A> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ job, since: Date.now(), resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    // Requests that arrived together are all here after one turn of the event loop.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) await this.#commitTogether(this.#takeBatch())
    this.#running = false
  }

  /** As many waiting jobs as fit, in their order. */
  #takeBatch(): Array<Waiting<J, A>> {
    const batch: Array<Waiting<J, A>> = []
    const taken = new Set<string>()
    let rows = 0
    let bytes = 0
    for (const waiting of this.#waiting) {
      const { job } = waiting
      rows += job.rows
      bytes += job.bytes
      const alone = [batch[0], waiting].some((one) => one?.alone ?? one?.job.alone)
      if (
        batch.length > 0 &&
        (alone ||
          rows > MAX_ROWS ||
          bytes > this.maxBytes() ||
          job.keys.some((key) => taken.has(key)))
      )
        break
      job.keys.forEach((key) => taken.add(key))
      batch.push(waiting)
    }
    this.#waiting = this.#waiting.slice(batch.length)
    return batch
  }

  async #commitTogether(batch: Array<Waiting<J, A>>): Promise<void> {
    const jobs = batch.map(({ job }) => job)
    const bytes = jobs.reduce((sum, job) => sum + job.bytes, 0)
    const since = performance.now()
    try {
      const { answers, rows } = await withTimeout(
        this.commit(jobs),
        COMMIT_TIMEOUT_MS + bytes / BYTES_PER_MS,
        'the commit took too long',
        'COMMIT_TIMEOUT',
      )
      if (rows > 0) this.onCommit(rows, (performance.now() - since) / 1000)
      batch.forEach(({ resolve, reject }, index) => {
        const answer = answers[index]!
        if (answer instanceof ApiError) reject(answer)
        else resolve(answer)
      })
    } catch (error) {
      if (batch.length > 1 && isDataError(error)) {
        this.#waiting.unshift(...batch.map((waiting) => ({ ...waiting, alone: true as const })))
      } else {
        for (const { reject } of batch) reject(error)
        if (!isDataError(error)) this.#rejectOld(error)
      }
    }
  }

  /** A client does not wait for one failing commit after another. */
  #rejectOld(error: unknown): void {
    const waiting = this.#waiting
    const oldest = Date.now() - MAX_WAIT_MS
    this.#waiting = waiting.filter(({ since }) => since >= oldest)
    for (const { since, reject } of waiting) if (since < oldest) reject(error)
  }
}
