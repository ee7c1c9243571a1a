import { onEnd } from '../servers/server'

/** Keeps lines that libraries write to the console, and that begin like one of these, out of the output of a file's tests. */
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

/** What the released client writes whether or not it was asked to. */
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
