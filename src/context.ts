import type { RequestHandler } from 'express'
import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { Brc103 } from './auth/brc103'
import { CursorSealer } from './auth/cursor'
import { httpAuth } from './auth/http'
import { MemoryReplayGuard, type ReplayGuard } from './auth/replay'
import { SessionSealer } from './auth/session'
import { SharedReplayGuard } from './auth/sharedReplay'
import { deriveSealingKey, NativeServerKey, type ServerKey } from './auth/serverKey'
import type { Config } from './config'
import { createKnex } from './db/engine/knex'
import { createStorage, type Storage } from './db'
import type { JoinFanout } from './fanout'
import { MemoryBus } from './fanout/memory'
import { RedisFanout } from './fanout/redis'
import { createLimits, type Limits } from './limits'
import { createLogger } from './logger'
import { createMailbox, type Mailbox, type Publish } from './mailbox'
import { noMetrics, type Metrics } from './metrics'
import type { PrometheusMetrics } from './metrics/prometheus'
import type { Lifecycle } from './operator/health'
import { describeServer, type Info } from './operator/info'
import { createOverlay, type Overlay } from './overlay'
import { createAdvertiser, type Advertiser } from './overlay/advertiser'
import { createPayments, type Payments } from './payments'
import { createPermissions, type Permissions, type PriceOf } from './permissions'
import { noPush, startPush, type Push } from './push'
import { Assets } from './pages/assets'
import type { SharedRedis } from './lib/redis'
import { Secret } from './lib/secret'
import { noTracing, startTracing, type Tracing } from './tracing'
import type { AuthSocketServerOptions } from './ws/authSocketServer'
import { Hub } from './ws/hub'
import { MembershipSealer } from './ws/memberships'

/** What every other part is built on. */
interface Infrastructure {
  config: Config
  info: Info
  lifecycle: Lifecycle
  logger: Logger
  metrics: Metrics
  /** What Prometheus reads; undefined if metrics are off. */
  registry: Registry | undefined
  tracing: Tracing
  knex: Knex
  redis: SharedRedis | undefined
  privateKey: Secret
  serverKey: ServerKey
  limits: Limits
}

/** Messages and money, without a transport. */
interface Domain extends Storage {
  permissions: Permissions
  payments: Payments
  hub: Hub
  push: Push
  mailbox: Mailbox
}

/** What HTTP and the sockets need besides, and the server's part in the overlay network. */
interface Transports {
  brc103: Brc103
  /** Express middlewares that answer the handshake and set `req.auth.identityKey`. */
  auth: RequestHandler[]
  /** Options of the live layer, which `config.live` switches on. */
  live: AuthSocketServerOptions
  sealer: MembershipSealer
  /** Called for each identity that is proven on a socket. */
  onHandshake: () => void
  overlay: Overlay
  advertiser: Advertiser
  assets: Assets
}

/** All parts of a server, built once. Each consumer declares the few that it takes. */
export interface Context extends Infrastructure, Domain, Transports {}

/** Parts that an application which embeds the server may replace. */
export interface Overrides {
  logger?: Logger
  serverKey?: ServerKey
  auth?: RequestHandler[]
  priceOf?: PriceOf
  live?: AuthSocketServerOptions
  joinFanout?: JoinFanout
}

export async function createContext(config: Config, overrides: Overrides = {}): Promise<Context> {
  const infrastructure = createInfrastructure(config, overrides)
  const domain = await createDomain(infrastructure, overrides)
  const transports = await createTransports({ ...infrastructure, ...domain }, overrides)
  const context = { ...infrastructure, ...domain, ...transports }
  registerGauges(context)
  return context
}

function createInfrastructure(config: Config, overrides: Overrides): Infrastructure {
  const logger = overrides.logger ?? createLogger(config)
  const privateKey = config.auth.privateKey ?? createPrivateKey(logger)
  const serverKey = overrides.serverKey ?? new NativeServerKey(privateKey)
  const info = describeServer(config, serverKey.identityKey)
  const { name, version, network } = info
  const { endpoint } = config.tracing
  const { url } = config.redis
  const redis =
    url === undefined ? undefined : connectRedis(url, serverKey.identityKey.slice(0, 16), logger)
  return {
    config,
    info,
    lifecycle: { stopping: false },
    logger,
    ...(config.metrics.port === undefined
      ? { metrics: noMetrics, registry: undefined }
      : countForPrometheus({ version, network })),
    tracing:
      endpoint === undefined
        ? noTracing
        : startTracing(endpoint, { 'service.name': name, 'service.version': version }),
    knex: createKnex(config.db),
    redis,
    privateKey,
    serverKey,
    limits: createLimits(config, redis),
  }
}

async function createDomain(infrastructure: Infrastructure, overrides: Overrides): Promise<Domain> {
  const { config, knex, limits, logger, metrics, privateKey, redis, serverKey, tracing } =
    infrastructure
  const storage = createStorage(config, infrastructure)
  const { devices, rules, schema, store } = storage
  const permissions = createPermissions({ rules, deliveryFees: config.deliveryFees })
  const priceOf = overrides.priceOf ?? permissions.priceOf
  const payments = createPayments(config, {
    knex,
    store,
    serverKey,
    privateKey,
    verification: limits.verification,
    priceOf,
    logger,
  })
  schema.whenReady(payments.start)
  const hub = new Hub({
    joinFanout: overrides.joinFanout ?? createJoinFanout(redis, logger),
    onDelivered: metrics.delivered,
    openAccount: (owners) => limits.outgoing.open(owners),
  })
  const push = config.push.enabled ? startPush(config.push, { devices, logger }) : noPush
  const mailbox = createMailbox({
    store,
    priceOf,
    deliverPaid: payments.deliver,
    cursors: new CursorSealer(await deriveSealingKey(serverKey, 'cursor')),
    publishers: [hub.publish, push.publish].map((publish) => bestEffort(publish, logger)),
    meter: limits.meter,
    outgoing: limits.outgoing,
    maxPageBytes: config.mailbox.maxPageBytes,
    metrics,
  })
  return { ...storage, permissions, payments, hub, push, mailbox: tracing.trace(mailbox) }
}

async function createTransports(
  parts: Infrastructure & Domain,
  overrides: Overrides,
): Promise<Transports> {
  const { advertisements, config, limits, logger, metrics, payments, redis, serverKey } = parts
  const sessions = new SessionSealer(await deriveSealingKey(serverKey, 'session'))
  const brc103 = new Brc103(serverKey, sessions, createReplayGuard(redis))
  return {
    brc103,
    auth:
      overrides.auth ??
      httpAuth({
        brc103,
        maxBodyBytes: config.http.maxBodyBytes,
        limits,
        onHandshake: () => metrics.handshake('http'),
      }),
    live: overrides.live ?? {},
    sealer: new MembershipSealer(await deriveSealingKey(serverKey, 'membership')),
    onHandshake: () => metrics.handshake('socket'),
    overlay: createOverlay(config, { store: advertisements, limits }),
    advertiser: createAdvertiser(config, {
      moneyWallet: payments.moneyWallet,
      serverKey,
      logger,
    }),
    assets: new Assets(),
  }
}

/** Closes all parts. HTTP and the sockets have to be closed before. */
export async function closeContext({
  schema,
  housekeeping,
  payments,
  push,
  overlay,
  advertiser,
  hub,
  redis,
  tracing,
  knex,
}: Context): Promise<void> {
  schema.close()
  await Promise.all([
    housekeeping.stop(),
    payments.close(),
    push.close(),
    overlay.close(),
    advertiser.stop(),
  ])
  await payments.moneyWallet?.close()
  hub.close()
  redis?.close()
  await tracing.close()
  await knex.destroy()
}

function createPrivateKey(logger: Logger): Secret {
  logger.warn(
    'SERVER_PRIVATE_KEY is not set: this run uses a new key, so its identity and its sessions ' +
      'end with it',
  )
  return new Secret(randomBytes(32).toString('hex'))
}

function countForPrometheus(labels: Record<string, string>): PrometheusMetrics {
  // Loaded here, so that prom-client takes no memory if metrics are off.
  const { createPrometheus } =
    require('./metrics/prometheus') as typeof import('./metrics/prometheus')
  return createPrometheus(labels)
}

function connectRedis(url: Secret, namespace: string, logger: Logger): SharedRedis {
  // Loaded here, so that the client of Redis takes no memory on a single node.
  const { SharedRedis } = require('./lib/redis') as typeof import('./lib/redis')
  return new SharedRedis(url, namespace, logger)
}

function createJoinFanout(redis: SharedRedis | undefined, logger: Logger): JoinFanout {
  return redis === undefined
    ? new MemoryBus().join
    : (deliver) => new RedisFanout(redis, deliver, logger)
}

function createReplayGuard(redis: SharedRedis | undefined): ReplayGuard {
  const own = new MemoryReplayGuard()
  return redis === undefined ? own : new SharedReplayGuard(own, redis)
}

/** The message is stored already, so a failure to publish it must not reach its sender. */
function bestEffort(publish: Publish, logger: Logger): Publish {
  return (message) => {
    try {
      return publish(message)
    } catch (error) {
      logger.error({ err: error }, 'a stored message could not be published')
      return 0
    }
  }
}

function registerGauges({ metrics, hub, knex, limits, redis }: Infrastructure & Domain): void {
  metrics.watch('rooms', () => hub.size)
  metrics.watch('requests_in_progress', () => limits.gate.working)
  metrics.watch('database_connections', () => knex.client.pool.numUsed())
  metrics.watch('database_connections_idle', () => knex.client.pool.numFree())
  metrics.watch('database_waiting', () => knex.client.pool.numPendingAcquires())
  metrics.watch('redis_up', () => (redis === undefined || redis.up ? 1 : 0))
}
