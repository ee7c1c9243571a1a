/**
 * What the nodes share through Redis: a connection that may be away. Whoever uses it has a way to go on without;
 * a node alone is worse than all of them together, but better than none.
 */
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

/** What Redis answers that is no primary, or has lost its own, or is still loading its data; to scripts, older ones say so later. */
const NOT_PRIMARY = /(^|-)(READONLY|MASTERDOWN|LOADING|NOREPLICAS)\b/

/** What Redis is asked for. One use that fails says nothing about the others. */
export type RedisUse = 'rates' | 'nonces'

export class SharedRedis {
  readonly client: RedisClient
  /** This one, and those that others listen and send with. */
  readonly #connections: RedisClient[] = []
  /** The uses that failed last, and until when Redis is not asked for each, in milliseconds since 1970. */
  readonly #pausedUntil = new Map<RedisUse, number>()
  #reconnectedAt = -Infinity
  /** What the log was told last of whether Redis is there. */
  #told: boolean | undefined

  /**
   * Connects in the background: a node starts with Redis away, too.
   * @param namespace of every key and channel, so that servers of other identities may share the Redis
   */
  constructor(
    url: Secret,
    private readonly namespace: string,
    private readonly logger: Logger,
  ) {
    this.client = this.#connect(url)
    this.client.on('ready', () => {
      this.#tell()
    })
    this.client.on('error', (error: Error) => {
      this.#tell(error)
    })
  }

  /** Whether Redis answers whatever it is asked for: after a failure it does when it has answered the same again. */
  get up(): boolean {
    return this.client.isReady && this.#pausedUntil.size === 0
  }

  /** A key or channel in this server's namespace. */
  key(name: string): string {
    return `messagebox:${this.namespace}:${name}`
  }

  /**
   * Asks Redis something.
   * @returns undefined where it is away, or does not answer in time
   */
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

  /** Another connection: one that listens can do nothing else, and large messages must not delay small commands. */
  connectAgain(): RedisClient {
    const client = this.client.duplicate()
    client.on('error', () => {
      // The first connection reports it; each connects again by itself.
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
      // It tries again by itself, and says so by "error".
    })
    this.#connections.push(client)
    return client
  }

  /** After a failover connections stay with the old primary; those that listen and send would not even notice. */
  #reconnect(): void {
    const now = performance.now()
    if (now - this.#reconnectedAt < FAILURE_PAUSE_MS) return
    this.#reconnectedAt = now
    // Those that are not ready connect again by themselves.
    for (const client of this.#connections.filter(({ isReady }) => isReady)) {
      client.destroy()
      client.connect().catch(() => {})
    }
  }

  /** Whatever Redis cannot do now, it is not asked for again at once. */
  #pause(use: RedisUse, reason: string): void {
    const now = Date.now()
    if (now >= (this.#pausedUntil.get(use) ?? 0))
      this.logger.warn(
        { use, reason, milliseconds: FAILURE_PAUSE_MS },
        'Redis did not do what it was asked: this node goes on alone for a while',
      )
    this.#pausedUntil.set(use, now + FAILURE_PAUSE_MS)
  }

  /** Says in the log when Redis has come, or gone. Some errors are no reason to think it gone. */
  #tell(error?: Error): void {
    const { isReady } = this.client
    if (isReady === this.#told) return
    this.#told = isReady
    if (isReady) this.logger.info('Redis is there')
    else this.logger.warn({ reason: error?.message }, 'Redis is away: this node goes on alone')
  }
}
