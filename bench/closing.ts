/** What a run must undo whatever becomes of it: processes, databases, affinities. Last opened, first closed. */
export class Closing {
  readonly #closers: Array<() => unknown> = []

  constructor() {
    // Such as a closed pipe behind standard output.
    process.once('uncaughtException', (error) => {
      process.stderr.write(`${String(error)}\n`)
      void this.run().then(() => process.exit(1))
    })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        void this.run().then(() => process.exit(130))
      })
    }
  }

  add(close: () => unknown): void {
    this.#closers.push(close)
  }

  /** Closes everything once, going on past what fails. */
  async run(): Promise<void> {
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close()
      } catch (error) {
        process.stderr.write(`While cleaning up: ${String(error)}\n`)
      }
    }
  }
}
