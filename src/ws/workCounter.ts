/** Counts work for clients, so that a server that stops can wait for it. */
export class WorkCounter {
  /** How much has begun so far. */
  started = 0
  /** How much of it has not ended. */
  pending = 0

  track(work: Promise<unknown>): void {
    this.started++
    this.pending++
    const end = (): void => {
      this.pending--
    }
    work.then(end, end)
  }
}
