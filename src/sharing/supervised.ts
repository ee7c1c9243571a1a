/** A worker shares state with the others through its supervisor. */
import type { Logger } from 'pino'
import { MemoryReplayGuard } from '../auth/replay'
import { SharedReplayGuard } from '../auth/sharedReplay'
import type { Deliver, Fanout } from '../fanout'
import { withTimeout } from '../lib/timeout'
import type { Sharing } from './index'
import type { Batch, FromSupervisor, Request, Wire } from './wire'

const ANSWER_TIMEOUT_MS = 250
const NO_ANSWER = `no answer within ${ANSWER_TIMEOUT_MS} ms`
/** How long requests that no client waits for may wait for others, to share a message. */
const UNHURRIED_MS = 5
/** After a failure the worker does not ask the supervisor for this long. */
const FAILURE_PAUSE_MS = 1000

/** @param windowMs how long this worker remembers a nonce */
export function shareThroughSupervisor(wire: Wire, logger: Logger, windowMs?: number): Sharing {
  const link = new SupervisorLink(wire, logger)
  return {
    joinFanout: (deliver) => joinFanout(link, deliver),
    counts: {
      add: async (name, key, points, isAwaited) =>
        await link.attempt(['count', name, key, points], isAwaited),
    },
    replayGuard: new SharedReplayGuard(new MemoryReplayGuard(windowMs), {
      firstSeen: async (identityKey, nonce) => await link.attempt(['seen', identityKey, nonce]),
    }),
    get up() {
      return link.up
    },
    usesRedis: false,
    close() {},
  }
}

function joinFanout(link: SupervisorLink, deliver: Deliver): Fanout {
  link.deliver = deliver
  return {
    get connected() {
      return link.up
    },
    publish: (message) => {
      if (link.up) link.tell(['publish', message])
    },
    // Also if the supervisor is late: it reads all requests in order.
    listen: async (recipient) => {
      await link.ask(['listen', recipient])
    },
    unlisten: (recipient) => {
      link.tell(['unlisten', recipient])
    },
    close: () => {
      link.deliver = () => {}
    },
  }
}

type Resolve = (answer: unknown) => void

/** Sends the requests of one turn of the event loop as one message. */
class SupervisorLink {
  deliver: Deliver = () => {}
  /** The requests of this turn. `resolve` is undefined if no answer is needed. */
  #queue: Array<{ request: Request; resolve: Resolve | undefined }> = []
  #turn: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #pending = new Map<number, (answers: unknown[]) => void>()
  #batches = 0
  /** When to ask again, on the clock of `performance.now()`; undefined if the last answer came. */
  #pausedUntil: number | undefined

  constructor(
    private readonly wire: Wire,
    private readonly logger: Logger,
  ) {
    wire.onMessage((message) => {
      this.#receive(message as FromSupervisor)
    })
  }

  /** Whether the supervisor has answered in time. */
  get up(): boolean {
    return this.#pausedUntil === undefined
  }

  /** @returns undefined if the supervisor does not answer, or did not answer just now */
  async attempt<T>(request: Request, isAwaited = true): Promise<T | undefined> {
    if (performance.now() < (this.#pausedUntil ?? 0)) return undefined
    return await this.ask(request, isAwaited)
  }

  /**
   * @param isAwaited whether a client waits for the answer
   * @returns undefined if the supervisor does not answer
   */
  async ask<T>(request: Request, isAwaited = true): Promise<T | undefined> {
    return await new Promise((resolve) => {
      this.#add(request, resolve as Resolve, isAwaited)
    })
  }

  tell(request: Request): void {
    this.#add(request, undefined, true)
  }

  #add(request: Request, resolve: Resolve | undefined, isUrgent: boolean): void {
    this.#queue.push({ request, resolve })
    if (isUrgent)
      this.#turn ??= setImmediate(() => {
        void this.#flush()
      })
    else
      this.#timer ??= setTimeout(() => {
        void this.#flush()
      }, UNHURRIED_MS)
  }

  async #flush(): Promise<void> {
    clearImmediate(this.#turn)
    clearTimeout(this.#timer)
    this.#turn = this.#timer = undefined
    const queue = this.#queue
    this.#queue = []
    const requests = queue.map(({ request }) => request)
    if (queue.every(({ resolve }) => resolve === undefined))
      return this.#send({ id: undefined, requests })
    const id = ++this.#batches
    const answered = new Promise<unknown[]>((resolve) => this.#pending.set(id, resolve))
    this.#send({ id, requests })
    const answers = await withTimeout(answered, ANSWER_TIMEOUT_MS, NO_ANSWER).catch(() => undefined)
    this.#pending.delete(id)
    this.#note(answers !== undefined)
    for (const [index, { resolve }] of queue.entries()) resolve?.(answers?.[index])
  }

  #send(batch: Batch): void {
    this.wire.send(batch)
  }

  #note(isAnswered: boolean): void {
    if (isAnswered && !this.up) this.logger.info('the supervisor answers again')
    if (!isAnswered && this.up)
      this.logger.warn(
        { reason: NO_ANSWER, milliseconds: FAILURE_PAUSE_MS },
        'the supervisor does not answer: this worker continues alone for a while',
      )
    this.#pausedUntil = isAnswered ? undefined : performance.now() + FAILURE_PAUSE_MS
  }

  #receive(message: FromSupervisor): void {
    if ('answers' in message) return this.#pending.get(message.id)?.(message.answers)
    for (const published of message.published) {
      try {
        this.deliver(published)
      } catch (error) {
        this.logger.error(
          { fault: (error as Error).name },
          'a message from another worker could not be delivered',
        )
      }
    }
  }
}
