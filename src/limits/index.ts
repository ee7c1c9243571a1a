import type { Config } from '../config'
import { largestAnswer, MEMORY_FACTOR, type Limit } from '../config/parsers'
import { ClientAddress } from './address'
import { ByteBudget } from './budget'
import { Gate } from './gate'
import { createMeter, type Meter } from './meter'
import { createRateLimiter, unlimited, type RateLimiter, type SharedCounts } from './rates'
import { CountLimiter } from './countLimiter'

/** Of one address. */
const MIGRATIONS_PER_MINUTE = 10
const LOOKUPS_PER_MINUTE = 1200
const SUBMISSIONS_PER_MINUTE = 20
/** How many cheap requests count like one other request. */
const CHEAP_FACTOR = 10
/** The part of the memory that one owner may hold. */
const SHARE_RATIO = 0.25

export interface Limits {
  address: ClientAddress
  perAddress: RateLimiter
  perIdentity: RateLimiter
  /** For health checks and CORS preflights. */
  cheap: RateLimiter
  migrations: RateLimiter
  lookups: RateLimiter
  submissions: RateLimiter
  /** Its points are milliseconds that the verification of transactions takes. */
  verification: RateLimiter
  meter: Meter
  gate: Gate
  /** TCP connections by address. Those of trusted proxies are not counted. */
  connections: CountLimiter
  /** Sockets of Socket.IO by address. */
  sockets: CountLimiter
  socketsPerIdentity: Limit
  /** Memory for what clients have sent. */
  incoming: ByteBudget
  /** Memory for what clients have not read yet. */
  outgoing: ByteBudget
}

/** @param counts if given, rates are counted with other processes */
export function createLimits(
  { http, limits, mailbox, memory }: Pick<Config, 'http' | 'limits' | 'mailbox' | 'memory'>,
  counts: SharedCounts | undefined,
): Limits {
  const perAddress = createRateLimiter('address', limits.perAddress, counts)
  const perIdentity = createRateLimiter('identity', limits.perIdentity, counts)
  return {
    address: new ClientAddress(http.trustProxy),
    perAddress,
    perIdentity,
    cheap:
      limits.perAddress === undefined
        ? unlimited
        : createRateLimiter(
            'cheap',
            Math.max(limits.perAddress * CHEAP_FACTOR, LOOKUPS_PER_MINUTE),
          ),
    migrations: createRateLimiter('migrations', MIGRATIONS_PER_MINUTE, counts),
    lookups: createRateLimiter('lookups', LOOKUPS_PER_MINUTE, counts),
    submissions: createRateLimiter('submissions', SUBMISSIONS_PER_MINUTE, counts),
    verification: createRateLimiter(
      'verification',
      limits.verificationSeconds === undefined ? undefined : limits.verificationSeconds * 1000,
      counts,
      (limit) =>
        `Verifying the transactions of your address took more than ${limit / 1000} s of a minute`,
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

/** A request or answer of the maximum size has to fit into the share of one owner. */
function shareOf(total: number, largest: number): number {
  return Math.min(total, Math.max(total * SHARE_RATIO, largest * MEMORY_FACTOR))
}
