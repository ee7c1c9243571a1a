/** Progress and questions, on standard error: standard output holds only the result. */
import { createInterface } from 'node:readline/promises'

const REDRAW_INTERVAL_MS = 100
/** For a terminal whose width is unknown. */
const DEFAULT_COLUMNS = 80

export interface Progress {
  /** Replaces the line. */
  show: (text: string) => void
  /** Removes the line. */
  done: () => void
}

/** Shows nothing if `quiet`, or if standard error is not a terminal. */
export function createProgress({ quiet }: { quiet: boolean }): Progress {
  if (quiet || !process.stderr.isTTY) return { show() {}, done() {} }
  let last = -REDRAW_INTERVAL_MS
  return {
    show(text) {
      const now = performance.now()
      if (now - last < REDRAW_INTERVAL_MS) return
      last = now
      process.stderr.write(
        `\r\x1b[K${text.slice(0, (process.stderr.columns || DEFAULT_COLUMNS) - 1)}`,
      )
    },
    done() {
      last = -REDRAW_INTERVAL_MS
      process.stderr.write('\r\x1b[K')
    },
  }
}

export function canAsk(): boolean {
  return process.stdin.isTTY
}

/** Asks a question; only "y" or "yes" is a yes. */
export async function ask(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const ended = new Promise<string>((resolve) => {
      terminal.once('close', () => {
        resolve('')
      })
    })
    return /^y(es)?$/i.test(
      (await Promise.race([terminal.question(`${question} [y/N] `), ended])).trim(),
    )
  } finally {
    terminal.close()
  }
}
