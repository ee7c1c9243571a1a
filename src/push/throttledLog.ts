import type { Logger } from 'pino'

/** How often one kind of line is written, in milliseconds. */
const INTERVAL = 60_000

/** What may happen too often to log it each time: the first is logged at once, then one line a minute counts the others. */
export class ThrottledLog {
  readonly #kinds = new Map<string, { times: number; due: number }>()

  constructor(
    private readonly logger: Pick<Logger, 'warn'>,
    private readonly interval = INTERVAL,
  ) {}

  /** @param fault from a fixed set, never what a client made up */
  add(text: string, fault: string, times = 1): void {
    const kind = `${text} ${fault}`
    const { times: before, due } = this.#kinds.get(kind) ?? { times: 0, due: 0 }
    const [now, all] = [Date.now(), before + times]
    if (now >= due) this.logger.warn({ fault, times: all }, text)
    this.#kinds.set(kind, now >= due ? { times: 0, due: now + this.interval } : { times: all, due })
  }
}
