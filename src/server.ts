import type { AddressInfo } from 'node:net'
import { createApp } from './app'
import type { Config } from './config'
import { closeContext, createContext, type Context, type Overrides } from './context'
import { Exchange } from './http/exchange'
import { createHttpServer, admitConnection, type HttpServer } from './http/server'
import { MetricsServer } from './metrics/metricsServer'
import { Relay } from './workers/relay'
import type { LiveLayer } from './ws'
import type { AuthSocketServerOptions } from './ws/authSocketServer'

/** The part of `SHUTDOWN_TIMEOUT` in which requests may still be answered. */
const DRAIN_RATIO = 0.8

/** A MessageBox server. An application may embed it. */
export class MessageBoxServer {
  readonly #http: HttpServer
  readonly #live: LiveLayer | undefined
  /** How requests of Socket.IO reach the worker that has their session, if there are several. */
  readonly #workers: { relay: Relay; relayed: HttpServer } | undefined
  #metrics: MetricsServer | undefined
  #stopped: Promise<void> | undefined

  private constructor(readonly context: Context) {
    const { config, limits, worker } = context
    if (worker === undefined || !config.live.enabled) {
      this.#live = config.live.enabled ? startLive(context) : undefined
      this.#http = createHttpServer({
        ...createApp(context, this.#live?.handleRequest),
        onUpgrade: this.#live?.handleUpgrade,
        limits,
      })
      return
    }
    const relay = new Relay(worker)
    const { createSessionId } = relay
    this.#live = startLive(context, { createSessionId })
    const { handleRequest, handleUpgrade } = this.#live
    const app = createApp(context, relay.forward(handleRequest))
    this.#http = createHttpServer({
      ...app,
      onUpgrade: relay.forwardUpgrade(handleUpgrade),
      limits,
    })
    const relayed = createHttpServer({
      classes: app.classes,
      // The other worker has counted the request.
      onRequest: relay.receive((req, res) => {
        new Exchange(req, res, limits)
        handleRequest(req, res)
      }),
    })
    relay.receiveUpgrades(
      (req, socket, head) => admitConnection(socket, limits) && handleUpgrade(req, socket, head),
    )
    this.#workers = { relay, relayed }
  }

  /** Builds a server. `start` opens its ports and its database. */
  static async create(config: Config, overrides?: Overrides): Promise<MessageBoxServer> {
    return new MessageBoxServer(await createContext(config, overrides))
  }

  /**
   * Migrates the schema if `MIGRATE_ON_START` is set, then opens the port.
   * @returns the port, which the system chooses if 0 is configured
   */
  async start(): Promise<number> {
    const { config, logger, registry, schema, worker } = this.context
    if (config.migrate.onStart) await schema.migrate()
    else await schema.open()
    if (registry !== undefined && worker !== undefined)
      worker.on('metrics', () => {
        registry.getMetricsAsJSON().then(
          (values) => {
            worker.tell({ kind: 'metrics', values })
          },
          (error: unknown) => {
            logger.error({ err: error }, 'the metrics of this worker could not be collected')
          },
        )
      })
    else if (registry !== undefined)
      this.#metrics = await MetricsServer.start(registry, {
        ...config.metrics,
        port: config.metrics.port!,
      })
    if (this.#workers !== undefined) {
      const { relay, relayed } = this.#workers
      relay.claimPath()
      await relayed.listen({ path: relay.path, exclusive: true })
    }
    await this.#http.listen({ port: config.http.port })
    // The overlay nodes that it submits to may include this server.
    this.context.advertiser.start()
    return this.port
  }

  get port(): number {
    return (this.#http.server.address() as AddressInfo).port
  }

  /** The port that Prometheus reads; undefined if metrics are off. */
  get metricsPort(): number | undefined {
    return this.#metrics?.port
  }

  /**
   * Answers the requests in progress, sends the sockets' clients to another node, then closes the
   * port and the database. Cuts off requests that are unanswered after most of the time.
   * @param shutdownTimeoutMs how long it may take
   */
  async stop(shutdownTimeoutMs = this.context.config.http.shutdownTimeoutMs): Promise<void> {
    return await (this.#stopped ??= this.#stop(shutdownTimeoutMs))
  }

  async #stop(shutdownTimeoutMs: number): Promise<void> {
    const { config, lifecycle } = this.context
    lifecycle.stopping = true
    const { idleGraceMs } = config.http
    const timeoutMs = shutdownTimeoutMs * DRAIN_RATIO
    this.#workers?.relay.close()
    await Promise.all([
      this.#live?.close(timeoutMs),
      ...[this.#http, this.#workers?.relayed].map(async (http) => {
        if (http?.server.listening === true) await http.close({ timeoutMs, idleGraceMs })
      }),
    ])
    await this.#metrics?.close()
    await closeContext(this.context)
  }
}

function startLive(context: Context, options?: AuthSocketServerOptions): LiveLayer {
  // Loaded here, so that Socket.IO takes no memory if live messaging is off.
  const { createLive } = require('./ws') as typeof import('./ws')
  return createLive(context.config.http.prefix, context, { ...context.live, ...options })
}
