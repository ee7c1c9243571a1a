import pino, { type Logger } from 'pino'
import type { Config } from './config'

/**
 * The log: JSON lines on standard output, or readable ones in development. Nothing that is logged may hold a
 * body, a key's private half, or a signature; where a whole request slips in, its headers are left out.
 */
export function createLogger ({ log }: Pick<Config, 'log'>): Logger {
  const { level } = log
  const redact = { paths: ['*.headers', 'headers', '*.body', 'body', '*.signature'], remove: true }
  if (log.pretty && isInstalled('pino-pretty')) {
    return pino({ level, redact, base: null, transport: { target: 'pino-pretty', options: { translateTime: 'HH:MM:ss', singleLine: true } } })
  }
  return pino({ level, redact, base: null })
}

/** pino-pretty is there in development only; an image does without it. */
function isInstalled (name: string): boolean {
  try {
    require.resolve(name)
    return true
  } catch {
    return false
  }
}
