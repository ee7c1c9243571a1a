/**
 * Nodes tell each other through Redis: a channel for each recipient, to which a node listens while it has sockets
 * of that identity. So what passes between nodes is what somebody listens to, however many of them there are.
 * Each node signs for its own sockets. Bodies may be large, so they travel apart from the small commands that requests
 * wait for.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import type { IdentityKey, PublishedMessage } from '../contract/protocol'
import type { RedisClient, SharedRedis } from '../lib/redis'
import { endsWithin } from '../lib/timeout'
import type { Deliver, Fanout } from './index'

/** How long a join waits for Redis. After it the room has only this node's messages for now. */
const LISTEN_TIMEOUT_MS = 250

interface Carried {
  node: string
  message: PublishedMessage
}

export class RedisFanout implements Fanout {
  readonly #node = randomUUID()
  readonly #publisher: RedisClient
  readonly #listener: RedisClient
  readonly #listening = new Set<IdentityKey>()
  /** Redis did not let us listen when we last asked. */
  #refused = false

  constructor(
    private readonly redis: SharedRedis,
    private readonly deliver: Deliver,
    private readonly logger: Logger,
  ) {
    this.#publisher = redis.connectAgain()
    this.#listener = redis.connectAgain()
    // The library takes subscriptions up again, but for those that were asked for while it was not connected.
    this.#listener.on('ready', () => {
      for (const recipient of this.#listening) void this.#subscribe(recipient)
    })
  }

  /** Whether this node hears of others at all. */
  get connected(): boolean {
    return this.#listener.isReady && this.#publisher.isReady && !this.#refused
  }

  publish(message: PublishedMessage): void {
    if (!this.#publisher.isReady) return
    const carried: Carried = { node: this.#node, message }
    this.#publisher.publish(this.#channel(message.recipient), JSON.stringify(carried)).catch(() => {
      // Best effort: the message is in its box.
    })
  }

  async listen(recipient: IdentityKey): Promise<void> {
    this.#listening.add(recipient)
    if (!this.#listener.isReady) return
    await endsWithin(this.#subscribe(recipient), LISTEN_TIMEOUT_MS)
  }

  unlisten(recipient: IdentityKey): void {
    this.#listening.delete(recipient)
    this.#listener.unsubscribe(this.#channel(recipient), this.#receive).catch(() => {})
  }

  close(): void {
    this.#publisher.destroy()
    this.#listener.destroy()
  }

  async #subscribe(recipient: IdentityKey): Promise<void> {
    try {
      await this.#listener.subscribe(this.#channel(recipient), this.#receive)
      this.#refused = false
    } catch (error) {
      // A connection that ends takes its subscriptions with it, and makes them again.
      if (!this.#listener.isReady) return
      if (!this.#refused)
        this.logger.error(
          { reason: (error as Error).message },
          'Redis lets this node listen to no channel: it does not hear of messages on other nodes',
        )
      this.#refused = true
    }
  }

  readonly #receive = (text: string): void => {
    try {
      const { node, message } = JSON.parse(text) as Carried
      if (node !== this.#node) this.deliver(message)
    } catch (error) {
      this.logger.error(
        { fault: (error as Error).name },
        'what another node told could not be delivered',
      )
    }
  }

  #channel(recipient: IdentityKey): string {
    return this.redis.key(`live:${recipient}`)
  }
}
