import { onEnd } from '../servers/server'

/** Hides the console lines that begin with one of these until the end of the file's tests. */
export function hush(...beginnings: string[]): void {
  for (const level of ['log', 'warn', 'error'] as const) {
    const write = console[level]
    console[level] = (...values: unknown[]) => {
      if (!beginnings.some((beginning) => String(values[0]).startsWith(beginning))) write(...values)
    }
    onEnd(() => {
      console[level] = write
    })
  }
}

/** The released client always writes these. */
export function hushClient(): void {
  hush(
    '[MB CLIENT',
    '[PP CLIENT',
    'acceptSettlement',
    'delivery agent:',
    'deliveryAgentIdentityKey',
    'HELP IM QUOTING',
    'server response from getquote',
  )
}
