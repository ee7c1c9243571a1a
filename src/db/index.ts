import { createAdvertisementStore, type AdvertisementStore } from './advertisements'
import { createDeviceStore, type DeviceStore } from './devices'
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Config } from '../config'
import type { Metrics } from '../metrics'
import { Housekeeping } from './maintenance/retention'
import { createQuotaCounter } from './quotas'
import { createRuleStore, type RuleStore } from './permissions'
import { Schema } from './engine/schema'
import { createMessageStore, createRemoval, GroupCommit, type MessageStore } from './messages'

export interface Storage {
  schema: Schema
  store: MessageStore
  housekeeping: Housekeeping
  rules: RuleStore
  devices: DeviceStore
  advertisements: AdvertisementStore
}

interface StorageParts {
  knex: Knex
  logger: Logger
  metrics: Metrics
  /** Whether this process does the housekeeping. */
  runsJobs: boolean
}

/** Everything that works on the database. All parts share one quota counter. */
export function createStorage(
  { db, mailbox }: Pick<Config, 'db' | 'mailbox'>,
  { knex, logger, metrics, runsJobs }: StorageParts,
): Storage {
  const { maxPageBytes, quotas, retentionMs: retention } = mailbox
  const counter = createQuotaCounter(quotas)
  const commits = new GroupCommit(knex, counter, metrics.committed)
  const removal = createRemoval(knex, counter, (keys) => commits.isSlow(keys), metrics.committed)
  const housekeeping = new Housekeeping({
    knex,
    removal,
    counter,
    retention,
    logger,
    onExpired: metrics.expired,
  })
  const schema = new Schema({ knex, db, quotas, logger })
  schema.whenReady(() => {
    if (runsJobs) housekeeping.start()
  })
  return {
    schema,
    housekeeping,
    rules: createRuleStore(knex, mailbox.maxRules),
    devices: createDeviceStore(knex),
    advertisements: createAdvertisementStore(knex),
    store: createMessageStore({ knex, commits, removal, schema, maxPageBytes }),
  }
}
