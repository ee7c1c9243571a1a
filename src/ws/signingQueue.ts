import type { IdentityKey } from '../contract/protocol'
import type { EncodedEvent } from './eventCodec'
import type { Peer } from './peer'

/** How much may wait for a session: more is dropped if the client never answers a handshake. */
const MAX_WAITING_CHARACTERS = 32 * 1024

/**
 * Signs events for a client, in the order of the calls. Before there is a session to sign for,
 * events wait for one.
 */
export class SigningQueue {
  #waiting: EncodedEvent[] = []
  #waitingCharacters = 0
  #last = Promise.resolve()
  #ended = false

  /** @param write takes each signed message, and the identity it is signed for */
  constructor(
    private readonly peer: Peer,
    private readonly write: (message: string, identityKey: IdentityKey) => void,
    private readonly onError: (error: unknown) => void,
  ) {}

  add(event: EncodedEvent): void {
    const { session } = this.peer
    if (session === undefined) {
      this.#waitingCharacters += event.payload.length
      if (this.#waitingCharacters <= MAX_WAITING_CHARACTERS) this.#waiting.push(event)
      return
    }
    this.#last = this.#last
      .then(async () => {
        if (this.#ended) return
        this.write(await this.peer.sign(session, event), session.identityKey)
      })
      .catch(this.onError)
  }

  /** Signs what has waited, if there is a session now. */
  flush(): void {
    if (this.peer.session !== undefined)
      for (const event of this.#waiting.splice(0)) this.add(event)
  }

  /** Signs nothing more. */
  end(): void {
    this.#ended = true
  }
}
