import { lastRefusal } from './tapFetch'

/** What went wrong, for a person: in the server's own words where it has said any. */
export function inWords(error: unknown): string {
  const refusal = lastRefusal()
  if (refusal !== undefined) return refusal
  if (error instanceof TypeError && /fetch|network|load/i.test(error.message))
    return 'The server does not answer. Is its address right, and does it run?'
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/^\[MB CLIENT(?: ERROR)?\] ?/, '')
}

export function shortKey(key: string): string {
  return `${key.slice(0, 8)}…${key.slice(-6)}`
}

/**
 * The address of a server as a person writes it: without a scheme it gets the page's own.
 * @returns without slashes at its end; undefined where it is no address of a server
 */
export function toHost(text: string): string | undefined {
  const trimmed = text.trim().replace(/\/+$/, '')
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed)
    ? trimmed
    : `${location.protocol}//${trimmed}`
  if (!URL.canParse(address) || /\s/.test(address)) return undefined
  const { protocol, username, password, search, hash } = new URL(address)
  const isPlain = username === '' && password === '' && search === '' && hash === ''
  return isPlain && (protocol === 'https:' || protocol === 'http:') ? address : undefined
}
