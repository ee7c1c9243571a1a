/** The database's schema over the life of a server: brought up to date at the start, or when its operator says so. */
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { DatabaseConfig, Quotas } from '../config'
import { isMigrated, migrate, settleUsage } from './migrate'

export interface SchemaParts {
  knex: Knex
  db: DatabaseConfig
  quotas: Quotas
  logger: Logger
  /** Called when the tables are there, and what they count is right. */
  onReady: () => void
}

export class Schema {
  constructor (private readonly parts: SchemaParts) {}

  /** @returns the number of the batch, and the names of the migrations that ran now */
  async migrate (): Promise<[batch: number, names: string[]]> {
    const { knex, db, logger } = this.parts
    const result = await migrate(knex, db)
    const [, names] = result
    if (names.length > 0) logger.info({ names }, 'the schema was brought up to date')
    await this.#settle()
    return result
  }

  /** Leaves the schema as it is; a server on an old one answers 503 until its operator migrates. */
  async check (): Promise<void> {
    if (await isMigrated(this.parts.knex)) await this.#settle()
    else this.parts.logger.warn('the schema is not up to date: run "npm run migrate", or POST /migrate')
  }

  async #settle (): Promise<void> {
    const { knex, db, quotas, logger, onReady } = this.parts
    if (await settleUsage(knex, db, quotas)) logger.info('what is stored was counted, for the quotas')
    onReady()
  }
}
