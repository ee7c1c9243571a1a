import { lastRefusal } from './tapFetch'

/** What went wrong, for a person: in the server's own words where it has said any. */
export function inWords (error: unknown): string {
  const refusal = lastRefusal()
  if (refusal !== undefined) return refusal
  if (error instanceof TypeError && /fetch|network|load/i.test(error.message)) return 'The server does not answer. Is its address right, and does it run?'
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/^\[MB CLIENT(?: ERROR)?\] ?/, '')
}

export function shortKey (key: string): string {
  return `${key.slice(0, 8)}…${key.slice(-6)}`
}
