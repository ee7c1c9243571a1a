import type { AuthSocket } from './authSocket'

/** Answers on one socket, in the order of the questions: clients take the first answer for that to their first question. */
export class Answers {
  #answered = Promise.resolve()

  /** @param onError told of what goes wrong as something is answered */
  constructor(
    private readonly socket: AuthSocket,
    private readonly onError: (error: unknown) => void,
  ) {}

  /**
   * Answers behind everything that was asked before.
   * @param work begun already; resolves with the answering itself
   */
  add(work: Promise<() => void>): void {
    this.#answered = this.#answered
      .then(async () => {
        ;(await work)()
      })
      .catch(this.onError)
    this.socket.hold(this.#answered)
  }
}
