/** The connections to Redis, through which nodes share state. Without Redis a node works alone. */
import { createClient, type RedisClientType } from '@redis/client'
import type { Logger } from 'pino'
import { withTimeout } from './timeout'
import type { Secret } from './secret'

export type RedisClient = RedisClientType

const ANSWER_TIMEOUT_MS = 250
const NO_ANSWER = `no answer within ${ANSWER_TIMEOUT_MS} ms`
/** After a failure the node does not ask Redis the same for this long. */
const FAILURE_PAUSE_MS = 1000
const MAX_RECONNECT_PAUSE_MS = 1000
const CONNECT_TIMEOUT_MS = 2000
const PING_INTERVAL_MS = 5000
/** A connection that is silent for this long, pings included, is lost. */
const SOCKET_TIMEOUT_MS = 15_000
const MAX_UNANSWERED_COMMANDS = 10_000

/**
 * Errors of a Redis that is no primary, has lost its primary, or is still loading its data. Older
 * releases answer scripts with the code in the middle of the text.
 */
const NOT_PRIMARY = /(^|-)(READONLY|MASTERDOWN|LOADING|NOREPLICAS)\b/

/** The node pauses each use on its own after a failure. */
export type RedisUse = 'rates' | 'nonces'

export class SharedRedis {
  readonly client: RedisClient
  /** `client` and those of `connectAgain`. */
  readonly #connections: RedisClient[] = []
  /** Uses whose last attempt failed, and when to try again, in milliseconds since 1970. */
  readonly #pausedUntil = new Map<RedisUse, number>()
  #reconnectedAt = -Infinity
  /** What the log says last. */
  #loggedReady: boolean | undefined

  /**
   * Connects in the background: a node also starts without Redis.
   * @param namespace of every key and channel, so that servers of other identities can share Redis
   */
  constructor(
    url: Secret,
    private readonly namespace: string,
    private readonly logger: Logger,
  ) {
    this.client = this.#connect(url)
    this.client.on('ready', () => {
      this.#logState()
    })
    this.client.on('error', (error: Error) => {
      this.#logState(error)
    })
  }

  /** Whether Redis is connected, and the last attempt of every use succeeded. */
  get up(): boolean {
    return this.client.isReady && this.#pausedUntil.size === 0
  }

  /** A key or channel in this server's namespace. */
  key(name: string): string {
    return `messagebox:${this.namespace}:${name}`
  }

  /** @returns undefined if Redis is down, fails or does not answer in time */
  async attempt<T>(
    use: RedisUse,
    command: (client: RedisClient) => Promise<T>,
  ): Promise<T | undefined> {
    if (!this.client.isReady || Date.now() < (this.#pausedUntil.get(use) ?? 0)) return undefined
    try {
      const answer = await withTimeout(command(this.client), ANSWER_TIMEOUT_MS, NO_ANSWER)
      this.#pausedUntil.delete(use)
      return answer
    } catch (error) {
      const { message } = error as Error
      this.#pause(use, message)
      if (NOT_PRIMARY.test(message)) this.#reconnect()
      return undefined
    }
  }

  /**
   * Opens another connection. A subscriber can send no other commands, and large messages must not
   * delay small commands.
   */
  connectAgain(): RedisClient {
    const client = this.client.duplicate()
    client.on('error', () => {
      // The first connection logs errors. Each one reconnects by itself.
    })
    client.connect().catch(() => {})
    this.#connections.push(client)
    return client
  }

  close(): void {
    this.client.destroy()
  }

  #connect(url: Secret): RedisClient {
    const client = createClient({
      url: url.reveal(),
      disableOfflineQueue: true,
      commandsQueueMaxLength: MAX_UNANSWERED_COMMANDS,
      pingInterval: PING_INTERVAL_MS,
      socket: {
        connectTimeout: CONNECT_TIMEOUT_MS,
        socketTimeout: SOCKET_TIMEOUT_MS,
        reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, MAX_RECONNECT_PAUSE_MS),
      },
    }) as RedisClient
    client.connect().catch(() => {
      // It tries again by itself, and emits "error".
    })
    this.#connections.push(client)
    return client
  }

  /** After a failover connections stay with the old primary, and subscribers do not notice it. */
  #reconnect(): void {
    const now = performance.now()
    if (now - this.#reconnectedAt < FAILURE_PAUSE_MS) return
    this.#reconnectedAt = now
    // The others are reconnecting already.
    for (const client of this.#connections.filter(({ isReady }) => isReady)) {
      client.destroy()
      client.connect().catch(() => {})
    }
  }

  #pause(use: RedisUse, reason: string): void {
    const now = Date.now()
    if (now >= (this.#pausedUntil.get(use) ?? 0))
      this.logger.warn(
        { use, reason, milliseconds: FAILURE_PAUSE_MS },
        'a command to Redis failed: this node continues alone for a while',
      )
    this.#pausedUntil.set(use, now + FAILURE_PAUSE_MS)
  }

  /** Logs whether Redis is connected, if that has changed. */
  #logState(error?: Error): void {
    const { isReady } = this.client
    if (isReady === this.#loggedReady) return
    this.#loggedReady = isReady
    if (isReady) this.logger.info('connected to Redis')
    else this.logger.warn({ reason: error?.message }, 'Redis is down: this node continues alone')
  }
}
