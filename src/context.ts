import type { RequestHandler } from 'express'
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { Brc103 } from './auth/brc103'
import { CursorSealer } from './auth/cursor'
import { httpAuth } from './auth/http'
import { SessionSealer } from './auth/session'
import { deriveSealingKey, NativeServerKey } from './auth/serverKey'
import { createTemporaryKey } from './auth/temporaryKey'
import type { ServerKey } from './auth/serverKey'
import type { Config } from './config'
import { createKnex } from './db/engine/knex'
import { createStorage, type Storage } from './db'
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
import type { Secret } from './lib/secret'
import { shareNothing, shareThroughRedis, type Sharing } from './sharing'
import { shareThroughSupervisor } from './sharing/supervised'
import { noTracing, startTracing, type Tracing } from './tracing'
import type { AuthSocketServerOptions } from './ws/authSocketServer'
import { Hub } from './ws/hub'
import { MembershipSealer } from './ws/memberships'
import { configOfWorker } from './workers/share'
import type { Worker } from './workers/worker'

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
  /** Undefined if the server is one process. */
  worker: Worker | undefined
  sharing: Sharing
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
  /** Set if this process is one of the workers of a server. */
  worker?: Worker
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
  const { worker } = overrides
  const logger = overrides.logger ?? createLogger(config, worker?.number)
  const privateKey = config.auth.privateKey ?? createTemporaryKey(logger)
  const serverKey = overrides.serverKey ?? new NativeServerKey(privateKey)
  const info = describeServer(config, serverKey.identityKey)
  const { name, version, network } = info
  const { endpoint } = config.tracing
  const sharing = createSharing(config, serverKey, logger, worker)
  const own = worker === undefined ? config : configOfWorker(config, worker.assignment.count)
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
    knex: createKnex(own.db),
    worker,
    sharing,
    privateKey,
    serverKey,
    limits: createLimits(own, sharing.counts),
  }
}

async function createDomain(infrastructure: Infrastructure, overrides: Overrides): Promise<Domain> {
  const { config, knex, limits, logger, metrics, privateKey, serverKey, sharing, tracing, worker } =
    infrastructure
  const runsJobs = worker?.isFirst ?? true
  const storage = createStorage(config, { ...infrastructure, runsJobs })
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
    collects: runsJobs,
  })
  schema.whenReady(payments.start)
  const hub = new Hub({
    joinFanout: sharing.joinFanout,
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
  const { advertisements, config, limits, logger, metrics, payments, serverKey, sharing, worker } =
    parts
  const sessions = new SessionSealer(await deriveSealingKey(serverKey, 'session'))
  const brc103 = new Brc103(serverKey, sessions, sharing.replayGuard)
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
      worker,
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
  sharing,
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
  sharing.close()
  await tracing.close()
  await knex.destroy()
}

function countForPrometheus(labels: Record<string, string>): PrometheusMetrics {
  // Loaded here, so that prom-client takes no memory if metrics are off.
  const { createPrometheus } =
    require('./metrics/prometheus') as typeof import('./metrics/prometheus')
  return createPrometheus(labels)
}

function createSharing(
  { redis: { url } }: Config,
  { identityKey }: ServerKey,
  logger: Logger,
  worker: Worker | undefined,
): Sharing {
  if (url !== undefined) return shareThroughRedis(url, identityKey.slice(0, 16), logger)
  return worker === undefined ? shareNothing() : shareThroughSupervisor(worker.wire, logger)
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

function registerGauges({ metrics, hub, knex, limits, sharing }: Infrastructure & Domain): void {
  metrics.watch('rooms', () => hub.size)
  metrics.watch('requests_in_progress', () => limits.gate.working)
  metrics.watch('database_connections', () => knex.client.pool.numUsed())
  metrics.watch('database_connections_idle', () => knex.client.pool.numFree())
  metrics.watch('database_waiting', () => knex.client.pool.numPendingAcquires())
  metrics.watch('workers', () => 1)
  metrics.watch('redis_up', () => (!sharing.usesRedis || sharing.up ? 1 : 0))
}
