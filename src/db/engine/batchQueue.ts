/**
 * A lane: jobs that are in flight together share a transaction, or a query, so that a busy server pays for one sync to disk
 * where an idle one pays for each job. While a commit is under way, whatever arrives waits for the next; every job
 * still gets an answer of its own, and a bad one fails alone.
 */
import { ApiError } from '../../contract/errors'
import { withTimeout } from '../../lib/timeout'
import { isDataError } from './faults'

export interface Job {
  rows: number
  bytes: number
  /** Jobs that have one in common never share a transaction. */
  keys: string[]
  /** It shares a transaction with nobody. */
  alone?: boolean
}

interface Waiting<J, A> {
  job: J
  /** When it arrived, in milliseconds since 1970. */
  since: number
  /** It was in a batch that failed for one row's sake: it is tried again by itself. */
  alone?: true
  resolve: (answer: A) => void
  reject: (error: unknown) => void
}

/** Told of each commit: how many rows it stored or removed, and how many seconds it took. */
export type OnCommit = (rows: number, seconds: number) => void

/** What came of a commit: the answer to each job, in their order, a refusal among them; and how many rows it changed. */
export interface Committed<A> {
  answers: Array<A | ApiError>
  rows: number
}

/** How many rows one transaction has, but for a single job that has more by itself. */
export const MAX_ROWS = 500
/** A commit is given up, its outcome unknown, after this time and the time for its bytes. */
const COMMIT_TIMEOUT_MS = 5000
const BYTES_PER_MS = 10_000
/** A job that has waited longer, in milliseconds, is not tried after a commit that the database did not answer. */
const PATIENCE = 1000

/** One commit at a time, in the order of arrival. `J` is a job, `A` its answer. */
export class BatchQueue<J extends Job, A> {
  #waiting: Array<Waiting<J, A>> = []
  #running = false

  /**
   * @param commit carries jobs out together
   * @param maxBytes how many bytes the jobs of one transaction have, but for a single one that has more by itself
   */
  constructor(
    private readonly commit: (jobs: J[]) => Promise<Committed<A>>,
    private readonly onCommit: OnCommit = () => {},
    private readonly maxBytes = () => Infinity,
  ) {}

  /** @throws ApiError that `commit` answered, or the database's error */
  async run(job: J): Promise<A> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ job, since: Date.now(), resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    // One turn of the event loop lets the requests that arrived together in.
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
    const since = performance.now()
    try {
      const bytes = jobs.reduce((sum, job) => sum + job.bytes, 0)
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
        if (!isDataError(error)) this.#giveUp(error)
      }
    }
  }

  /** Nobody waits for one lost commit after another: whoever has waited through this one is told now. */
  #giveUp(error: unknown): void {
    const waiting = this.#waiting
    const oldest = Date.now() - PATIENCE
    this.#waiting = waiting.filter(({ since }) => since >= oldest)
    for (const { since, reject } of waiting) if (since < oldest) reject(error)
  }
}
