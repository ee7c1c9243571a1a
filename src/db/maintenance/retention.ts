/** What is done from time to time: messages beyond their retention are removed, and counts of nothing. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Limit } from '../../config/parsers'
import { PeriodicJob } from '../../lib/periodic'
import { codeOf } from '../engine/faults'
import { selectOldest } from '../messages/sql'
import type { Ledger } from '../quotas'
import type { Removal } from '../messages/remove'
import { WallClock, type Clocks } from '../engine/wallClock'
import { removeZeroUsage } from '../quotas/sql'

const INTERVAL_MS = 60_000
/** How many messages one step removes, so that its locks are short; and how long it pauses for others, in milliseconds. */
const STEP = 200
const PAUSE = 20
/** How many steps without anything to remove end a round. */
const YOUNG_STEPS = 5
/** How many counts one round looks at. */
const COUNTS = 1000

export interface HousekeepingParts {
  knex: Knex
  removal: Removal
  ledger: Ledger
  /** In milliseconds; undefined keeps messages for ever. */
  retention: Limit
  logger: Logger
  onExpired: (messages: number) => void
  /** The system's, unless others are given. */
  clocks?: Clocks
}

export class Housekeeping {
  readonly #job: PeriodicJob
  readonly #clock: WallClock
  /** Where the next round goes on looking for counts of nothing. */
  #behind = ''

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
    const { retention, ledger } = this.parts
    if (retention !== undefined || ledger.counts) this.#job.start()
  }

  /** Resolves when the step that is under way is done. */
  async stop(): Promise<void> {
    await this.#job.stop()
  }

  async #expire(): Promise<void> {
    const { knex, removal, retention, logger, onExpired } = this.parts
    if (retention === undefined) return
    let expired = 0
    // Messages stand in the order of their arrival: behind those that are to stay, the others stay, too. Some may have
    // been stored by a node whose clock is ahead, so a few more steps are looked at.
    for (let behind = 0, young = 0; young < YOUNG_STEPS && !this.#job.isStopped;) {
      const now = this.#clock.now()
      if (now === undefined) {
        logger.warn(
          'the clock has jumped: no message is removed for its age until the clock has been steady for an hour',
        )
        break
      }
      const cutoff = now - retention
      const oldest = await selectOldest(knex, behind, STEP)
      const due = oldest.filter(({ createdAt }) => createdAt < cutoff)
      expired += await removal.remove(due)
      young = due.length === 0 ? young + 1 : 0
      if (oldest.length < STEP) break
      behind = oldest.at(-1)!.id
      await pause(PAUSE)
    }
    if (expired === 0) return
    logger.info({ messages: expired }, 'messages beyond their retention were removed')
    onExpired(expired)
  }

  async #tidy(): Promise<void> {
    if (this.parts.ledger.counts)
      this.#behind = await removeZeroUsage(this.parts.knex, this.#behind, COUNTS)
  }
}
