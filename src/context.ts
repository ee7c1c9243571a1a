import type { RequestHandler } from 'express'
import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { Brc103 } from './auth/brc103'
import { httpAuth } from './auth/http'
import { MemoryReplayGuard, type ReplayGuard } from './auth/replay'
import { deriveMembershipKey, deriveSealingKey, SessionSealer } from './auth/session'
import { SharedReplayGuard } from './auth/sharedReplay'
import { NativeServerKey, type ServerKey } from './auth/serverKey'
import type { Config } from './config'
import { createKnex } from './db/engine/knex'
import { createStorage, type Storage } from './db'
import type { JoinFanout } from './fanout'
import { MemoryBus } from './fanout/memory'
import { RedisFanout } from './fanout/redis'
import { createLimits, type Limits } from './limits'
import type { Gate } from './limits/gate'
import { createLogger } from './logger'
import { createMailbox, type Mailbox, type Policy, type Publish } from './mailbox'
import { noMetrics, type Metrics } from './metrics'
import { createPrometheus } from './metrics/prometheus'
import type { Lifecycle } from './operator/health'
import { describeServer, type Info } from './operator/info'
import { createOverlay, type Overlay } from './overlay'
import { createAdvertiser, type Advertiser } from './overlay/advertiser'
import { createPayments, type Payments } from './payments'
import type { Milestone } from './payments/cashier'
import type { DeviceStore } from './db/devices'
import { createPermissions, type Permissions } from './permissions'
import { noPush, startPush, type Push } from './push'
import { Assets } from './pages/assets'
import { SharedRedis } from './lib/redis'
import { Secret } from './lib/secret'
import { noTracing, startTracing, type Tracing } from './tracing'
import type { AuthSocketServerOptions } from './ws/authSocketServer'
import { Hub } from './ws/hub'
import { MembershipSealer } from './ws/memberships'

/** Everything that lives as long as the server does, built once and passed down. */
export interface Context extends Storage {
  config: Config
  info: Info
  /** What pages load. */
  assets: Assets
  lifecycle: Lifecycle
  logger: Logger
  metrics: Metrics
  /** What Prometheus reads; undefined where nothing is counted. */
  registry: Registry | undefined
  tracing: Tracing
  knex: Knex
  redis: SharedRedis | undefined
  serverKey: ServerKey
  brc103: Brc103
  /** Express middlewares that answer the handshake and set `req.auth.identityKey`. */
  auth: RequestHandler[]
  limits: Limits
  permissions: Permissions
  devices: DeviceStore
  payments: Payments
  overlay: Overlay
  advertiser: Advertiser
  push: Push
  hub: Hub
  mailbox: Mailbox
  /** How the live layer is set up; see `config.live` for whether it is. */
  live: AuthSocketServerOptions
  sealer: MembershipSealer
  /** Told of each identity that was proven on a socket. */
  onHandshake: () => void
  /** How long a stop keeps idle connections, in milliseconds. */
  idleGrace?: number
}

/** What whoever embeds the server may put in place of its own parts. */
export interface Overrides {
  logger?: Logger
  serverKey?: ServerKey
  auth?: RequestHandler[]
  policy?: Policy
  /** Told how far each payment has come; it goes on when that resolves. */
  reached?: (milestone: Milestone) => Promise<void>
  live?: AuthSocketServerOptions
  idleGrace?: number
  joinFanout?: JoinFanout
}

export async function createContext(config: Config, overrides: Overrides = {}): Promise<Context> {
  const logger = overrides.logger ?? createLogger(config)
  const privateKey = config.auth.privateKey ?? makeKey(logger)
  const serverKey = overrides.serverKey ?? new NativeServerKey(privateKey)
  const info = describeServer(config, serverKey.identityKey)
  const labels = { version: info.version, network: info.network }
  const { metrics, registry } =
    config.metrics.port === undefined
      ? { metrics: noMetrics, registry: undefined }
      : createPrometheus(labels)
  const tracing =
    config.tracing.endpoint === undefined
      ? noTracing
      : startTracing(config.tracing.endpoint, {
          'service.name': info.name,
          'service.version': info.version,
        })
  const redis =
    config.redis.url === undefined
      ? undefined
      : new SharedRedis(config.redis.url, serverKey.identityKey.slice(0, 16), logger)

  const knex = createKnex(config.db)
  const storage = createStorage(config, { knex, logger, metrics })
  const limits = createLimits(config, redis)
  const joinFanout =
    overrides.joinFanout ??
    (redis === undefined
      ? new MemoryBus().join
      : (deliver) => new RedisFanout(redis, deliver, logger))
  const hub = new Hub({
    joinFanout,
    onDelivered: metrics.delivered,
    openAccount: (owners) => limits.outgoing.open(owners),
  })
  const permissions = createPermissions({ rules: storage.rules, deliveryFees: config.deliveryFees })
  const payments = createPayments(config, {
    knex,
    store: storage.store,
    serverKey,
    privateKey,
    verification: limits.verification,
    logger,
    reached: overrides.reached ?? (async () => {}),
  })
  storage.schema.whenReady(payments.start)
  const overlay = createOverlay(config, { store: storage.advertisements, limits })
  const advertiser = createAdvertiser(config, {
    moneyWallet: payments.moneyWallet,
    serverKey,
    logger,
  })
  const push = config.push.enabled
    ? startPush(config.push, { devices: storage.devices, logger })
    : noPush
  const inner = createMailbox({
    store: storage.store,
    policy: overrides.policy ?? permissions.terms,
    deliverPaid: payments.deliver,
    publish: push.follow(guard(hub.publish, logger)),
    meter: limits.meter,
    outgoing: limits.outgoing,
    maxPageBytes: config.mailbox.maxPageBytes,
    metrics,
  })
  const brc103 = new Brc103(
    serverKey,
    new SessionSealer(await deriveSealingKey(serverKey)),
    createReplayGuard(redis),
  )
  const auth =
    overrides.auth ??
    httpAuth({
      brc103,
      maxBodyBytes: config.http.maxBodyBytes,
      limits,
      onHandshake: () => {
        metrics.handshake('http')
      },
    })
  watchParts(metrics, { knex, redis, hub, gate: limits.gate })
  return {
    config,
    info,
    assets: new Assets(),
    lifecycle: { stopping: false },
    logger,
    metrics,
    registry,
    tracing,
    knex,
    redis,
    serverKey,
    brc103,
    auth,
    limits,
    ...storage,
    permissions,
    payments,
    overlay,
    advertiser,
    push,
    hub,
    mailbox: tracing.trace(inner),
    live: overrides.live ?? {},
    sealer: new MembershipSealer(await deriveMembershipKey(serverKey)),
    onHandshake: () => {
      metrics.handshake('socket')
    },
    ...(overrides.idleGrace !== undefined && { idleGrace: overrides.idleGrace }),
  }
}

/** Lets go of everything that a context holds; its HTTP and its sockets are closed by now. */
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

function createReplayGuard(redis: SharedRedis | undefined): ReplayGuard {
  const own = new MemoryReplayGuard()
  return redis === undefined ? own : new SharedReplayGuard(own, redis)
}

function watchParts(
  metrics: Metrics,
  { knex, redis, hub, gate }: { knex: Knex; redis: SharedRedis | undefined; hub: Hub; gate: Gate },
): void {
  metrics.watch('rooms', () => hub.size)
  metrics.watch('requests_in_progress', () => gate.working)
  metrics.watch('database_connections', () => knex.client.pool.numUsed())
  metrics.watch('database_connections_idle', () => knex.client.pool.numFree())
  metrics.watch('database_waiting', () => knex.client.pool.numPendingAcquires())
  metrics.watch('redis_up', () => (redis === undefined || redis.up ? 1 : 0))
}

/** Telling is best effort: nothing that goes wrong there may reach whoever stored the message. */
function guard(publish: Publish, logger: Logger): Publish {
  return (message) => {
    try {
      return publish(message)
    } catch (error) {
      logger.error({ err: error }, 'a live message was not delivered')
      return 0
    }
  }
}

function makeKey(logger: Logger): Secret {
  logger.warn(
    'SERVER_PRIVATE_KEY is not set: this run has an identity of its own, and its sessions end with it',
  )
  return new Secret(randomBytes(32).toString('hex'))
}
