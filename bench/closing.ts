/** Cleans up after every run: processes, databases, pinning. The last opened is closed first. */
export class Closing {
  readonly #closers: Array<() => unknown> = []

  constructor() {
    // For example, if standard output is a closed pipe.
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

  /** Closes everything once, even if some of it fails. */
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
