import type { IdentityKey } from '../contract/protocol'
import type { Fanout } from './index'

/** Whose messages this node's sockets wait for; the other nodes are told of the first such socket and of the last. */
export class Interest {
  readonly #recipients = new Map<IdentityKey, { memberships: number; listening: Promise<void> }>()

  constructor(private readonly fanout: Fanout) {}

  /** One more membership in a room of this recipient's. Resolves when other nodes' messages for it arrive here. */
  async enter(recipient: IdentityKey): Promise<void> {
    const known = this.#recipients.get(recipient) ?? {
      memberships: 0,
      listening: this.fanout.listen(recipient),
    }
    known.memberships++
    this.#recipients.set(recipient, known)
    await known.listening
  }

  /** One less. */
  exit(recipient: IdentityKey): void {
    const known = this.#recipients.get(recipient)
    if (known === undefined || --known.memberships > 0) return
    this.#recipients.delete(recipient)
    this.fanout.unlisten(recipient)
  }
}
