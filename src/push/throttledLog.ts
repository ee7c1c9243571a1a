import type { Logger } from 'pino'

const LOG_INTERVAL_MS = 60_000

/** Logs the first fault of a kind at once, then one line a minute with the number of faults. */
export class ThrottledLog {
  readonly #kinds = new Map<string, { times: number; due: number }>()

  constructor(
    private readonly logger: Pick<Logger, 'warn'>,
    private readonly intervalMs = LOG_INTERVAL_MS,
  ) {}

  /** @param fault from a fixed set, never a client's text */
  add(text: string, fault: string, times = 1): void {
    const kind = `${text} ${fault}`
    const { times: before, due } = this.#kinds.get(kind) ?? { times: 0, due: 0 }
    const [now, all] = [Date.now(), before + times]
    if (now >= due) this.logger.warn({ fault, times: all }, text)
    this.#kinds.set(
      kind,
      now >= due ? { times: 0, due: now + this.intervalMs } : { times: all, due },
    )
  }
}
