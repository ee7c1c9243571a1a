import type { AddressInfo } from 'node:net'
import { createApp } from './app'
import type { Config } from './config'
import { closeContext, createContext, type Context, type Overrides } from './context'
import { createHttpServer, type HttpServer } from './http/server'
import { MetricsServer } from './operator/metricsServer'
import type { LiveLayer } from './ws'

/** The part of `SHUTDOWN_TIMEOUT` in which requests may still be answered. */
const DRAIN_RATIO = 0.8

/** A MessageBox server. An application may embed it. */
export class MessageBoxServer {
  readonly #http: HttpServer
  readonly #live: LiveLayer | undefined
  #metrics: MetricsServer | undefined
  #stopped: Promise<void> | undefined

  private constructor(readonly context: Context) {
    const { config, limits } = context
    this.#live = config.live.enabled ? startLive(context) : undefined
    this.#http = createHttpServer({
      ...createApp(context, this.#live?.handleRequest),
      onUpgrade: this.#live?.handleUpgrade,
      limits,
    })
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
    const { config, registry, schema } = this.context
    if (config.migrate.onStart) await schema.migrate()
    else await schema.open()
    if (registry !== undefined)
      this.#metrics = await MetricsServer.start(registry, {
        ...config.metrics,
        port: config.metrics.port!,
      })
    await this.#http.listen(config.http.port)
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
   * port and the database. Cuts off requests that are unanswered after most of `SHUTDOWN_TIMEOUT`.
   */
  async stop(): Promise<void> {
    return await (this.#stopped ??= this.#stop())
  }

  async #stop(): Promise<void> {
    const { config, lifecycle } = this.context
    lifecycle.stopping = true
    const { idleGraceMs, shutdownTimeoutMs } = config.http
    const timeoutMs = shutdownTimeoutMs * DRAIN_RATIO
    await Promise.all([
      this.#live?.close(timeoutMs),
      this.#http.server.listening ? this.#http.close({ timeoutMs, idleGraceMs }) : undefined,
    ])
    await this.#metrics?.close()
    await closeContext(this.context)
  }
}

function startLive(context: Context): LiveLayer {
  // Loaded here, so that Socket.IO takes no memory if live messaging is off.
  const { createLive } = require('./ws') as typeof import('./ws')
  return createLive(context.config.http.prefix, context, context.live)
}
