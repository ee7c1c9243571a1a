/** The state of the schema: migrated at the start, or when the operator asks for it. */
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { DatabaseConfig, Quotas } from '../../config'
import { PeriodicJob } from '../../lib/periodic'
import { codeOf } from './faults'
import { isMigrated, migrate, settleUsage } from './migrate'

/** How often a server on an old schema looks whether it was migrated. */
const CHECK_INTERVAL_MS = 5000

export interface SchemaParts {
  knex: Knex
  db: DatabaseConfig
  quotas: Quotas
  logger: Logger
}

export class Schema {
  #ready = false
  #checking: Promise<void> | undefined
  readonly #job: PeriodicJob
  readonly #listeners: Array<() => void> = []

  constructor(private readonly parts: SchemaParts) {
    this.#job = new PeriodicJob({
      run: async () => {
        await this.check()
      },
      intervalMs: CHECK_INTERVAL_MS,
      onError: (error) => {
        parts.logger.error({ operation: 'migrations', fault: codeOf(error) }, 'the database failed')
      },
    })
  }

  /** Whether messages may be stored, listed and removed. Before that, they would not be counted. */
  get ready(): boolean {
    return this.#ready
  }

  /** Calls a listener when all tables exist and the counts are right. */
  whenReady(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** @returns the number of the batch, and the names of the migrations that ran now */
  async migrate(): Promise<[batch: number, names: string[]]> {
    const { knex, db, logger } = this.parts
    const result = await migrate(knex, db)
    const [, names] = result
    if (names.length > 0) logger.info({ names }, 'the schema was brought up to date')
    await this.#settle()
    return result
  }

  /**
   * Does not migrate. On an old schema, the server answers 503 and checks again until it is new.
   */
  async open(): Promise<void> {
    await this.check()
    if (this.#ready) return
    this.parts.logger.warn('the schema is not up to date: run "npm run migrate", or POST /migrate')
    this.#job.start()
  }

  /** Checks whether the schema has become ready. Concurrent calls share one check. */
  async check(): Promise<void> {
    if (this.#ready) return
    this.#checking ??= this.#look().finally(() => {
      this.#checking = undefined
    })
    await this.#checking
  }

  close(): void {
    void this.#job.stop()
  }

  async #look(): Promise<void> {
    if (await isMigrated(this.parts.knex)) await this.#settle()
  }

  async #settle(): Promise<void> {
    const { knex, db, quotas, logger } = this.parts
    if (await settleUsage(knex, db, quotas))
      logger.info('the stored messages were counted for the quotas')
    this.close()
    this.#ready = true
    for (const listener of this.#listeners.splice(0)) listener()
  }
}
