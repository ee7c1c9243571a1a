import type { AuthSocket } from './authSocket'
import type { Reply } from './events/event'

/**
 * Sends replies in the order of the requests: clients take the first acknowledgement in a room for
 * their first send.
 */
export class ReplyQueue {
  #last = Promise.resolve()

  constructor(
    private readonly socket: AuthSocket,
    private readonly onError: (error: unknown) => void,
  ) {}

  /**
   * Sends these replies after those of all earlier requests. A server that stops waits for them.
   */
  add(replies: Promise<Reply[]>): void {
    this.#last = this.#last
      .then(async () => {
        for (const { event, data } of await replies) this.socket.emit(event, data)
      })
      .catch(this.onError)
    this.socket.track(this.#last)
  }
}
