import type { AddressInfo } from 'node:net'
import { createApp } from './app'
import type { Config } from './config'
import { createContext, type Context, type Overrides } from './context'
import { migrate } from './db/migrate'
import { createHttpServer, ignoreOtherUpgrades, type HttpServer } from './httpServer'
import { SOCKET_PATH } from './protocol'
import { attachLive, type LiveLayer } from './ws'

/** A MessageBox server: `create`, `start`, `stop`. Also the way to embed one. */
export class MessageBoxServer {
  readonly #http: HttpServer
  readonly #live: LiveLayer | undefined

  private constructor (readonly context: Context) {
    const { config, live } = context
    this.#http = createHttpServer(createApp(context))
    if (config.live.enabled) {
      this.#live = attachLive(this.#http.server, config.http.prefix, context, live)
      ignoreOtherUpgrades(this.#http.server, SOCKET_PATH)
    }
  }

  /**
   * Builds a server; nothing is opened yet.
   * @param overrides parts to use in place of its own
   */
  static async create (config: Config, overrides?: Overrides): Promise<MessageBoxServer> {
    return new MessageBoxServer(await createContext(config, overrides))
  }

  /**
   * Brings the schema up to date, then opens the port.
   * @returns the port, which the system chose where 0 was configured
   */
  async start (): Promise<number> {
    const { config, knex, logger } = this.context
    const [, names] = await migrate(knex, config.db)
    if (names.length > 0) logger.info({ names }, 'the schema was brought up to date')
    await new Promise<void>((resolve, reject) => {
      this.#http.server.once('error', reject).listen(config.http.port, () => { resolve() })
    })
    return this.port
  }

  get port (): number {
    return (this.#http.server.address() as AddressInfo).port
  }

  /** Answers what is under way, then closes the port and the database. */
  async stop (): Promise<void> {
    await this.#live?.close()
    if (this.#http.server.listening) await this.#http.close()
    await this.context.knex.destroy()
  }
}
