import type { IdentityKey, PublishedMessage } from '../contract/protocol'
import type { Deliver, Fanout } from './index'

/** Connects the nodes of one process. Usually there is only one. */
export class MemoryBus {
  readonly #listeners = new Map<IdentityKey, Set<Deliver>>()

  readonly join = (deliver: Deliver): Fanout => {
    const own = new Set<IdentityKey>()
    const unlisten = (recipient: IdentityKey): void => {
      own.delete(recipient)
      const listeners = this.#listeners.get(recipient)
      listeners?.delete(deliver)
      if (listeners?.size === 0) this.#listeners.delete(recipient)
    }
    return {
      connected: true,
      publish: (message) => {
        this.#publish(message, deliver)
      },
      listen: async (recipient) => {
        own.add(recipient)
        this.#listeners.set(recipient, (this.#listeners.get(recipient) ?? new Set()).add(deliver))
      },
      unlisten,
      close() {
        for (const recipient of [...own]) unlisten(recipient)
      },
    }
  }

  #publish(message: PublishedMessage, publisher: Deliver): void {
    for (const deliver of this.#listeners.get(message.recipient) ?? [])
      if (deliver !== publisher) deliver(message)
  }
}
