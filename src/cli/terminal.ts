/** What a command shows while it works, and how it asks: on standard error, so that standard output holds the result alone. */
import { createInterface } from 'node:readline/promises'

/** How often a line that changes is written, in milliseconds. */
const INTERVAL = 100
/** Of a terminal that does not tell its own. */
const USUAL_WIDTH = 80

export interface Progress {
  /** Shows how far something is, in place of what was shown before. */
  show: (text: string) => void
  /** Removes the line. */
  done: () => void
}

/** @param quiet shows nothing; nor is anything shown where standard error is no terminal */
export function createProgress({ quiet }: { quiet: boolean }): Progress {
  if (quiet || !process.stderr.isTTY) return { show() {}, done() {} }
  let last = -INTERVAL
  return {
    show(text) {
      const now = performance.now()
      if (now - last < INTERVAL) return
      last = now
      process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns || USUAL_WIDTH) - 1)}`)
    },
    done() {
      last = -INTERVAL
      process.stderr.write('\r\x1b[K')
    },
  }
}

/** Whether somebody is there to answer. */
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
