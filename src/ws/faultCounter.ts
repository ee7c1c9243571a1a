/** How many frames in a row may exceed a limit before the connection is closed. */
const MAX_REJECTIONS = 20

/** Counts what one client does wrong. */
export class FaultCounter {
  #faults = 0
  #rejections = 0

  /** @param maxFaults how many broken or unsigned frames are allowed */
  constructor(private readonly maxFaults: number) {}

  /** Counts a broken or unsigned frame. @returns whether there are too many */
  addFault(): boolean {
    return ++this.#faults > this.maxFaults
  }

  clearFaults(): void {
    this.#faults = 0
  }

  /** Counts a frame over a limit. @returns whether there are too many in a row */
  addRejection(): boolean {
    return ++this.#rejections > MAX_REJECTIONS
  }

  clearRejections(): void {
    this.#rejections = 0
  }
}
