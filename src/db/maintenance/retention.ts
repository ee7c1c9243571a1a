/** The background job that removes messages older than the retention, and counts that are zero. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Limit } from '../../config/parsers'
import { PeriodicJob } from '../../lib/periodic'
import { codeOf } from '../engine/faults'
import { WallClock, type Clocks } from '../engine/wallClock'
import { selectOldest, type Removal } from '../messages'
import { removeZeroUsage, type QuotaCounter } from '../quotas'

const INTERVAL_MS = 60_000
/** How many messages one transaction removes. Live messages wait for it, on SQLite at least. */
const STEP_MESSAGES = 50
/** The time for other transactions between two steps. */
const STEP_PAUSE_MS = 20
/** How many steps without an expired message end a run. */
const MAX_YOUNG_STEPS = 20
/** How many identities' counts one run looks at. */
const COUNTS_PER_RUN = 1000

export interface HousekeepingParts {
  knex: Knex
  removal: Removal
  counter: QuotaCounter
  /** In milliseconds. If undefined, messages do not expire. */
  retention: Limit
  logger: Logger
  onExpired: (messages: number) => void
  /** For tests. Default: the system's clocks. */
  clocks?: Clocks
}

export class Housekeeping {
  readonly #job: PeriodicJob
  readonly #clock: WallClock
  /** The identity after which the next run looks for zero counts. */
  #countsAfter = ''

  constructor(private readonly parts: HousekeepingParts) {
    this.#clock = new WallClock(parts.clocks)
    // Every node runs it: what one node has removed, another one does not find.
    this.#job = new PeriodicJob({
      run: async () => {
        await this.#expire()
        await this.#tidy()
      },
      intervalMs: INTERVAL_MS,
      onError: (error) => {
        parts.logger.error(
          { operation: 'housekeeping', fault: codeOf(error) },
          'the database failed',
        )
      },
    })
  }

  /** Does nothing if there is no retention and no quota. */
  start(): void {
    const { retention, counter } = this.parts
    if (retention !== undefined || counter.counts) this.#job.start()
  }

  /** Resolves when the step that is under way is done. */
  async stop(): Promise<void> {
    await this.#job.stop()
  }

  async #expire(): Promise<void> {
    const { knex, removal, retention, logger, onExpired } = this.parts
    if (retention === undefined) return
    let expired = 0
    // Rows are in the order of arrival, so the first young messages would end the run. But a node
    // whose clock is ahead may have stored some of them, so it looks a few steps further.
    for (let after = 0, young = 0; young < MAX_YOUNG_STEPS && !this.#job.isStopped;) {
      const now = this.#clock.now()
      if (now === undefined) {
        logger.warn(
          'the clock has jumped: no message is removed for its age ' +
            'until the clock has been steady for an hour',
        )
        break
      }
      const cutoff = now - retention
      const oldest = await selectOldest(knex, after, STEP_MESSAGES)
      const due = oldest.filter(({ createdAt }) => createdAt < cutoff)
      expired += await removal.remove(due)
      young = due.length === 0 ? young + 1 : 0
      if (oldest.length < STEP_MESSAGES) break
      after = oldest.at(-1)!.id
      await pause(STEP_PAUSE_MS)
    }
    if (expired === 0) return
    logger.info({ messages: expired }, 'messages beyond their retention were removed')
    onExpired(expired)
  }

  async #tidy(): Promise<void> {
    if (this.parts.counter.counts)
      this.#countsAfter = await removeZeroUsage(this.parts.knex, this.#countsAfter, COUNTS_PER_RUN)
  }
}
