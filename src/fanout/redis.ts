/**
 * Nodes tell each other of messages through Redis. Each recipient has a channel, and a node
 * subscribes to it while it has sockets of that recipient, so only messages with a live listener
 * pass between nodes. Each node signs for its own sockets. Messages may be large, so they have
 * connections of their own: requests wait for the commands on the other.
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
  /** Redis rejected the last subscription. */
  #isRejected = false

  constructor(
    private readonly redis: SharedRedis,
    private readonly deliver: Deliver,
    private readonly logger: Logger,
  ) {
    this.#publisher = redis.connectAgain()
    this.#listener = redis.connectAgain()
    // The library renews subscriptions, except those that were requested while it was not
    // connected.
    this.#listener.on('ready', () => {
      for (const recipient of this.#listening) void this.#subscribe(recipient)
    })
  }

  get connected(): boolean {
    return this.#listener.isReady && this.#publisher.isReady && !this.#isRejected
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
      this.#isRejected = false
    } catch (error) {
      // The connection has ended: the subscription is renewed when it is ready again.
      if (!this.#listener.isReady) return
      if (!this.#isRejected)
        this.logger.error(
          { reason: (error as Error).message },
          'Redis rejects subscriptions: sockets of this node do not get messages of other nodes',
        )
      this.#isRejected = true
    }
  }

  readonly #receive = (text: string): void => {
    try {
      const { node, message } = JSON.parse(text) as Carried
      if (node !== this.#node) this.deliver(message)
    } catch (error) {
      this.logger.error(
        { fault: (error as Error).name },
        'a message from another node could not be delivered',
      )
    }
  }

  #channel(recipient: IdentityKey): string {
    return this.redis.key(`live:${recipient}`)
  }
}
