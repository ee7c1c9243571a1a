import type { AddressInfo } from 'node:net'
import { createApp } from './app'
import type { Config } from './config'
import { closeContext, createContext, type Context, type Overrides } from './context'
import { createHttpServer, type HttpServer } from './http/server'
import { MetricsServer } from './operator/metricsServer'
import { createLive, type LiveLayer } from './ws'

/** Of the time that a stop may take, the part in which what is under way may still be answered. */
const ANSWERING = 0.8

/** A MessageBox server: `create`, `start`, `stop`. Also the way to embed one. */
export class MessageBoxServer {
  readonly #http: HttpServer
  readonly #live: LiveLayer | undefined
  #metrics: MetricsServer | undefined
  #stopped: Promise<void> | undefined

  private constructor(readonly context: Context) {
    const { config, live, idleGrace, limits } = context
    this.#live = config.live.enabled ? createLive(config.http.prefix, context, live) : undefined
    this.#http = createHttpServer({
      onRequest: createApp(context, this.#live?.handleRequest),
      onUpgrade: this.#live?.handleUpgrade,
      limits,
      idleGrace,
    })
  }

  /**
   * Builds a server; nothing is opened yet.
   * @param overrides parts to use in place of its own
   */
  static async create(config: Config, overrides?: Overrides): Promise<MessageBoxServer> {
    return new MessageBoxServer(await createContext(config, overrides))
  }

  /**
   * Brings the schema up to date, then opens the port.
   * @returns the port, which the system chose where 0 was configured
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
    // Its nodes may be this server's own endpoints.
    this.context.advertiser.start()
    return this.port
  }

  get port(): number {
    return (this.#http.server.address() as AddressInfo).port
  }

  /** Where Prometheus reads the metrics; undefined where they are off. */
  get metricsPort(): number | undefined {
    return this.#metrics?.port
  }

  /**
   * Answers what is under way, tells the sockets to look for another server, then closes the port and the database.
   * What is not answered within most of `SHUTDOWN_TIMEOUT` is cut off.
   */
  async stop(): Promise<void> {
    return await (this.#stopped ??= this.#stop())
  }

  async #stop(): Promise<void> {
    const { config, lifecycle } = this.context
    lifecycle.stopping = true
    const deadline = config.http.shutdownTimeoutMs * ANSWERING
    await Promise.all([
      this.#live?.close(deadline),
      this.#http.server.listening ? this.#http.close(deadline) : undefined,
    ])
    await this.#metrics?.close()
    await closeContext(this.context)
  }
}
