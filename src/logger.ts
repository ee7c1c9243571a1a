import { writeSync } from 'node:fs'
import { Writable } from 'node:stream'
import pino, { type Logger } from 'pino'
import type { Config } from './config'

/**
 * The log: JSON lines on standard output, or readable ones in development. Nothing that is logged may hold a
 * body, a key's private half, or a signature; where a whole request slips in, its headers are left out.
 */
export function createLogger({ log }: Pick<Config, 'log'>): Logger {
  const { level } = log
  const redact = { paths: ['*.headers', 'headers', '*.body', 'body', '*.signature'], remove: true }
  const output = new LogOutput(STDOUT)
  const pretty = log.pretty ? loadPretty() : undefined
  return pino(
    { level, redact, base: null },
    pretty?.({ translateTime: 'HH:MM:ss', singleLine: true, destination: output }) ?? output,
  )
}

type Pretty = (options: {
  translateTime: string
  singleLine: boolean
  destination: Writable
}) => Writable

/** pino-pretty is there in development only; an image does without it. */
function loadPretty(): Pretty | undefined {
  try {
    return require('pino-pretty') as Pretty
  } catch {
    return undefined
  }
}

const STDOUT = 1
/** How long a reader that is behind may hold the server up for a line, in milliseconds. */
const BUSY_MS = 50

/** Writes lines at once. What cannot be written, on a full disk for example, is dropped and counted: requests go on. */
class LogOutput extends Writable {
  #dropped = 0
  /** The last line was cut off. */
  #broken = false

  constructor(private readonly descriptor: number) {
    super({ decodeStrings: false })
  }

  override write(line: unknown): boolean {
    // A reader that is stuck holds the server up for one line, and for none after it.
    const busyMs = this.#dropped > 0 ? 0 : BUSY_MS
    const caughtUp =
      this.#dropped === 0 ||
      this.#put(
        `{"level":40,"time":${Date.now()},"dropped":${this.#dropped},"msg":"lines of the log could not be written"}\n`,
        busyMs,
      )
    if (caughtUp) this.#dropped = 0
    if (!caughtUp || !this.#put(String(line), busyMs)) this.#dropped++
    return true
  }

  /** @returns whether the whole text was written */
  #put(text: string, busyMs: number): boolean {
    let bytes = Buffer.from(this.#broken ? `\n${text}` : text)
    const length = bytes.length
    for (const end = performance.now() + busyMs; bytes.length > 0;) {
      try {
        bytes = bytes.subarray(writeSync(this.descriptor, bytes))
      } catch (error) {
        // A pipe whose reader is behind.
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN' && performance.now() < end) continue
        this.#broken ||= bytes.length < length
        return false
      }
    }
    this.#broken = false
    return true
  }
}
