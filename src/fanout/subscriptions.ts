import type { IdentityKey } from '../contract/protocol'
import type { Fanout } from './index'

/**
 * The recipients whose rooms have sockets on this node; it listens to other nodes for each of them.
 */
export class Subscriptions {
  readonly #recipients = new Map<IdentityKey, { memberships: number; listening: Promise<void> }>()

  constructor(private readonly fanout: Fanout) {}

  /**
   * Adds a membership in a room of this recipient. Resolves when messages of other nodes arrive for
   * it.
   */
  async add(recipient: IdentityKey): Promise<void> {
    const known = this.#recipients.get(recipient) ?? {
      memberships: 0,
      listening: this.fanout.listen(recipient),
    }
    known.memberships++
    this.#recipients.set(recipient, known)
    await known.listening
  }

  remove(recipient: IdentityKey): void {
    const known = this.#recipients.get(recipient)
    if (known === undefined || --known.memberships > 0) return
    this.#recipients.delete(recipient)
    this.fanout.unlisten(recipient)
  }
}
