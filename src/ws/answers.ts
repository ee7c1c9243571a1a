/** The order of what happens on one socket: events are counted in theirs, and answered in theirs. */
import { unlimited, type RateLimiter } from '../limits/rates'
import type { AuthSocket } from './authSocket'

export class Answers {
  #answered = Promise.resolve()
  #counted: Promise<unknown> = Promise.resolve()

  /** @param onError told of what goes wrong as something is answered */
  constructor (
    private readonly socket: AuthSocket,
    private readonly limiter: RateLimiter,
    private readonly onError: (error: unknown) => void
  ) {}

  /**
   * Answers behind everything that was asked before: clients take the first answer for that to their first question.
   * @param work begun already; resolves with the answering itself
   */
  add (work: Promise<() => void>): void {
    this.#answered = this.#answered.then(async () => { (await work)() }).catch(this.onError)
    this.socket.hold(this.#answered)
  }

  /**
   * Handles an event once its identity's rate has been asked, behind the events that came before it.
   * @param refuse called with the refusal where it asks too often
   */
  admit (handle: () => void, refuse: (error: unknown) => void): void {
    // Where nobody is counted, nothing waits.
    if (this.limiter === unlimited) return handle()
    const counted = this.#counted.then(async () => { await this.limiter.consume(this.socket.identityKey!) })
    this.#counted = counted.catch(() => {})
    this.socket.hold(counted.then(
      () => { if (!this.socket.ended) handle() },
      (error: unknown) => { if (!this.socket.ended) refuse(error) }
    ))
  }
}
