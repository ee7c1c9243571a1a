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
    const late = new Deadline(PATIENCE)
    try {
      const answer = await Promise.race([command(this.client), late.passed])
      if (answer === late) this.#pause(use, `no answer within ${PATIENCE} ms`)
      else this.#pausedUntil.delete(use)
      return answer === late ? undefined : (answer as T)
    } catch (error) {
      const { message } = error as Error
      this.#pause(use, message)
      if (NOT_PRIMARY.test(message)) this.#reconnect()
      return undefined
    } finally {
      late.clear()
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
      commandsQueueMaxLength: MAX_WAITING,
      pingInterval: PING,
      socket: {
        connectTimeout: CONNECT_TIMEOUT,
        socketTimeout: SILENCE,
        reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, RECONNECT),
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
    if (now - this.#reconnectedAt < RESPITE) return
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
        { use, reason, milliseconds: RESPITE },
        'Redis did not do what it was asked: this node goes on alone for a while',
      )
    this.#pausedUntil.set(use, now + RESPITE)
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

/** A time after which an answer is late; what has arrived by then counts, even if this process was too busy to read it. */
class Deadline {
  readonly passed: Promise<this>
  #timer: NodeJS.Timeout | undefined
  #turn: NodeJS.Immediate | undefined

  constructor(milliseconds: number) {
    this.passed = new Promise((resolve) => {
      this.#timer = setTimeout(() => {
        // Two turns of the event loop: one reads what has arrived, the next has dealt with it.
        this.#turn = setImmediate(() => {
          this.#turn = setImmediate(() => {
            resolve(this)
          })
        })
      }, milliseconds)
    })
  }

  clear(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#turn)
  }
}
