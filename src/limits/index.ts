import type { Config } from '../config'
import type { SharedRedis } from '../lib/redis'
import { largestAnswer, ROOM, type Limit } from '../config/parsers'
import { ClientAddress } from './address'
import { ByteBudget } from './budget'
import { Gate } from './gate'
import { createMeter, type Meter } from './meter'
import { createRateLimiter, unlimited, type RateLimiter } from './rates'
import { CountLimiter } from './countLimiter'

/** How many attempts to migrate an address has in a minute. */
const MIGRATION_ATTEMPTS = 10
/** How many advertisements an address may look up and submit in a minute. */
const LOOKUPS = 1200
const SUBMISSIONS = 20
/** How often an address may ask for what costs next to nothing, such as /health, as a multiple of its rate. */
const CHEAP = 10
/** Which part of the memory one owner may hold. */
const SHARE = 0.25

export interface Limits {
  address: ClientAddress
  perAddress: RateLimiter
  perIdentity: RateLimiter
  /** Of requests that cost next to nothing: health and CORS preflights. */
  cheap: RateLimiter
  /** Of attempts to migrate. */
  migrations: RateLimiter
  /** Of the overlay network's questions, and of what is submitted to it. */
  lookups: RateLimiter
  submissions: RateLimiter
  /** Of the milliseconds that transactions take to verify. */
  verification: RateLimiter
  meter: Meter
  gate: Gate
  /** TCP connections by the address at their other end, unless it is a trusted proxy. */
  connections: CountLimiter
  /** Sockets of Socket.IO by address, and how many one identity may have. */
  sockets: CountLimiter
  socketsPerIdentity: Limit
  /** Memory for what arrives and is not worked on yet, and for what is sent and not read yet. */
  incoming: ByteBudget
  outgoing: ByteBudget
}

/** @param redis through which the nodes count together; undefined if there is none */
export function createLimits(
  { http, limits, mailbox, memory }: Pick<Config, 'http' | 'limits' | 'mailbox' | 'memory'>,
  redis: SharedRedis | undefined,
): Limits {
  const perAddress = createRateLimiter('address', limits.perAddress, redis)
  const perIdentity = createRateLimiter('identity', limits.perIdentity, redis)
  return {
    address: new ClientAddress(http.trustProxy),
    perAddress,
    perIdentity,
    cheap:
      limits.perAddress === undefined
        ? unlimited
        : createRateLimiter('cheap', Math.max(limits.perAddress * CHEAP, LOOKUPS)),
    migrations: createRateLimiter('migrations', MIGRATION_ATTEMPTS, redis),
    lookups: createRateLimiter('lookups', LOOKUPS, redis),
    submissions: createRateLimiter('submissions', SUBMISSIONS, redis),
    verification: createRateLimiter(
      'verification',
      limits.verificationSeconds === undefined ? undefined : limits.verificationSeconds * 1000,
      redis,
      (limit) =>
        `The transactions of your address took more than ${limit / 1000} seconds of a minute to verify`,
    ),
    meter: createMeter({ perAddress, perIdentity }),
    gate: new Gate(limits.concurrent),
    connections: new CountLimiter(limits.connections),
    sockets: new CountLimiter(limits.socketsPerAddress),
    socketsPerIdentity: limits.socketsPerIdentity,
    incoming: new ByteBudget({
      total: memory.incoming,
      share: shareOf(memory.incoming, http.maxBodyBytes),
    }),
    outgoing: new ByteBudget({
      total: memory.outgoing,
      share: shareOf(memory.outgoing, largestAnswer(mailbox.maxPageBytes, http.maxBodyBytes)),
    }),
  }
}

/** What is largest has to fit into the share of a single owner. */
function shareOf(total: number, largest: number): number {
  return Math.min(total, Math.max(total * SHARE, largest * ROOM))
}
