/** A job that runs again and again in the background, never twice at once. */
import { endsWithin } from './timeout'

export interface PeriodicJobParts {
  run: () => Promise<void>
  /** From the end of one run to the beginning of the next. */
  intervalMs: number | (() => number)
  onError: (error: unknown) => void
}

export class PeriodicJob {
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #runAgain = false
  #stopped = false

  constructor(private readonly parts: PeriodicJobParts) {}

  get isStopped(): boolean {
    return this.#stopped
  }

  /** Runs the job now, or once more after the run that is under way; then again at intervals. */
  start(): void {
    if (this.#stopped) return
    this.#runAgain = true
    this.#running ??= this.#run()
  }

  /**
   * Waits for the run that is under way, for a limited time if one is given.
   * @returns whether it has ended
   */
  async stop(timeoutMs?: number): Promise<boolean> {
    this.#stopped = true
    clearTimeout(this.#timer)
    if (timeoutMs !== undefined)
      return await endsWithin(this.#running ?? Promise.resolve(), timeoutMs)
    await this.#running
    return true
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer)
    const { run, intervalMs, onError } = this.parts
    while (this.#runAgain && !this.#stopped) {
      this.#runAgain = false
      await run().catch(onError)
    }
    this.#running = undefined
    if (this.#stopped) return
    this.#timer = setTimeout(
      () => {
        this.start()
      },
      typeof intervalMs === 'number' ? intervalMs : intervalMs(),
    ).unref()
  }
}
