import type { Config } from '../config'
import type { SharedRedis } from '../redis'
import { ClientAddress } from './address'
import { Gate } from './gate'
import { createRateLimiter, type RateLimiter } from './rates'

/** How many attempts to migrate an address has in a minute. */
const MIGRATION_ATTEMPTS = 10
/** How many advertisements an address may look up and submit in a minute. */
const LOOKUPS = 1200
const SUBMISSIONS = 20

export interface Limits {
  address: ClientAddress
  perAddress: RateLimiter
  perIdentity: RateLimiter
  /** Of attempts to migrate. */
  migrations: RateLimiter
  /** Of the overlay network's questions, and of what is submitted to it. */
  lookups: RateLimiter
  submissions: RateLimiter
  gate: Gate
}

/** @param redis through which the nodes count together; undefined where each is alone */
export function createLimits ({ http, limits }: Pick<Config, 'http' | 'limits'>, redis: SharedRedis | undefined): Limits {
  return {
    address: new ClientAddress(http.trustProxy),
    perAddress: createRateLimiter('address', limits.perAddress, redis),
    perIdentity: createRateLimiter('identity', limits.perIdentity, redis),
    migrations: createRateLimiter('migrations', MIGRATION_ATTEMPTS, redis),
    lookups: createRateLimiter('lookups', LOOKUPS, redis),
    submissions: createRateLimiter('submissions', SUBMISSIONS, redis),
    gate: new Gate(limits.concurrent)
  }
}
