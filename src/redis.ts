/**
 * What the nodes share through Redis: a connection that may be away. Whoever uses it has a way to go on without;
 * a node alone is worse than all of them together, but better than none.
 */
import { createClient, type RedisClientType } from '@redis/client'
import type { Logger } from 'pino'
import type { Secret } from './secret'

export type RedisClient = RedisClientType

/** How long an answer may take, and how long Redis is left alone after it failed, in milliseconds. */
const PATIENCE = 250
const RESPITE = 1000
/** How long to wait between attempts to connect, at most, in milliseconds. */
const RECONNECT = 1000
const CONNECT_TIMEOUT = 2000
/** How often a quiet connection is tried, and after how long a silence it counts as lost, in milliseconds. */
const PING = 5000
const SILENCE = 15_000
/** How many commands may wait for their answers. */
const MAX_WAITING = 10_000

export class SharedRedis {
  readonly client: RedisClient
  #lateUntil = 0
  /** What the log was told last of whether Redis is there. */
  #told: boolean | undefined

  /**
   * Connects in the background: a node starts with Redis away, too.
   * @param namespace of every key and channel, so that servers of other identities may share the Redis
   */
  constructor (url: Secret, private readonly namespace: string, private readonly logger: Logger) {
    this.client = this.#connect(url)
    this.client.on('ready', () => { this.#tell() })
    this.client.on('error', () => { this.#tell() })
  }

  /** Whether Redis answers. */
  get up (): boolean {
    return this.client.isReady && Date.now() >= this.#lateUntil
  }

  /** A key or channel in this server's namespace. */
  key (name: string): string {
    return `messagebox:${this.namespace}:${name}`
  }

  /**
   * Asks Redis something.
   * @returns undefined where it is away, or does not answer in time
   */
  async attempt<T> (command: (client: RedisClient) => Promise<T>): Promise<T | undefined> {
    if (!this.up) return undefined
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>(resolve => {
      timer = setTimeout(() => {
        this.#pause(`no answer within ${PATIENCE} ms`)
        resolve(undefined)
      }, PATIENCE)
    })
    try {
      return await Promise.race([command(this.client), late])
    } catch (error) {
      this.#pause((error as Error).message)
      return undefined
    } finally {
      clearTimeout(timer)
    }
  }

  /** Another connection: for whoever listens, and can do nothing else with it, or sends what must delay nobody. */
  connectAgain (): RedisClient {
    const client = this.client.duplicate()
    client.on('error', () => {
      // The first connection reports it; each connects again by itself.
    })
    client.connect().catch(() => {})
    return client
  }

  close (): void {
    this.client.destroy()
  }

  #connect (url: Secret): RedisClient {
    const client = createClient({
      url: url.reveal(),
      disableOfflineQueue: true,
      commandsQueueMaxLength: MAX_WAITING,
      pingInterval: PING,
      socket: { connectTimeout: CONNECT_TIMEOUT, socketTimeout: SILENCE, reconnectStrategy: retries => Math.min(50 * 2 ** retries, RECONNECT) }
    }) as RedisClient
    client.connect().catch(() => {
      // It tries again by itself, and says so by "error".
    })
    return client
  }

  /** Whatever Redis cannot do now, it is not asked for again at once. */
  #pause (reason: string): void {
    if (this.up) this.logger.warn({ reason, milliseconds: RESPITE }, 'Redis did not do what it was asked: this node goes on alone for a while')
    this.#lateUntil = Date.now() + RESPITE
  }

  /** Says in the log when Redis has come, or gone. Some errors are no reason to think it gone. */
  #tell (): void {
    const { isReady } = this.client
    if (isReady === this.#told) return
    this.#told = isReady
    if (isReady) this.logger.info('Redis is there')
    else this.logger.warn('Redis is away: this node goes on alone')
  }
}
