import { writeSync } from 'node:fs'
import { Writable } from 'node:stream'
import pino, { type Logger } from 'pino'
import type { Config } from './config'

/**
 * Logs JSON lines to standard output, or readable ones in development. No line may hold a body, a
 * private key or a signature. If a whole request is logged by mistake, its headers are removed.
 */
export function createLogger({ log }: Pick<Config, 'log'>, worker?: number): Logger {
  const { level } = log
  const redact = { paths: ['*.headers', 'headers', '*.body', 'body', '*.signature'], remove: true }
  const output = new LogOutput(STDOUT)
  const pretty = log.pretty ? loadPretty() : undefined
  return pino(
    { level, redact, base: worker === undefined ? null : { worker } },
    pretty?.({ translateTime: 'HH:MM:ss', singleLine: true, destination: output }) ?? output,
  )
}

type Pretty = (options: {
  translateTime: string
  singleLine: boolean
  destination: Writable
}) => Writable

/** pino-pretty is a development dependency, which an image does not have. */
function loadPretty(): Pretty | undefined {
  try {
    return require('pino-pretty') as Pretty
  } catch {
    return undefined
  }
}

const STDOUT = 1
/** How long a slow reader may block the server for a line. */
const MAX_BLOCKED_MS = 50

/** Writes synchronously. Drops and counts lines that cannot be written, such as on a full disk. */
class LogOutput extends Writable {
  #dropped = 0
  /** Whether the last line was cut off. */
  #cutOff = false

  constructor(private readonly descriptor: number) {
    super({ decodeStrings: false })
  }

  override write(line: unknown): boolean {
    // A stuck reader blocks the server for one line only.
    const maxMs = this.#dropped > 0 ? 0 : MAX_BLOCKED_MS
    const caughtUp =
      this.#dropped === 0 ||
      this.#put(
        `{"level":40,"time":${Date.now()},"dropped":${this.#dropped},` +
          '"msg":"lines of the log could not be written"}\n',
        maxMs,
      )
    if (caughtUp) this.#dropped = 0
    if (!caughtUp || !this.#put(String(line), maxMs)) this.#dropped++
    return true
  }

  /** @returns whether the whole text was written */
  #put(text: string, maxMs: number): boolean {
    let bytes = Buffer.from(this.#cutOff ? `\n${text}` : text)
    const length = bytes.length
    for (const end = performance.now() + maxMs; bytes.length > 0;) {
      try {
        bytes = bytes.subarray(writeSync(this.descriptor, bytes))
      } catch (error) {
        // The reader of a pipe is slow.
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN' && performance.now() < end) continue
        this.#cutOff ||= bytes.length < length
        return false
      }
    }
    this.#cutOff = false
    return true
  }
}
