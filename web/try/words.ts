import { getLastError } from './tapFetch'

/** Describes an error: with the server's description, if there was an error response. */
export function inWords(error: unknown): string {
  const description = getLastError()
  if (description !== undefined) return description
  if (error instanceof TypeError && /fetch|network|load/i.test(error.message))
    return 'The server does not answer. Check its address, and that it runs.'
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/^\[MB CLIENT(?: ERROR)?\] ?/, '')
}

export function shortKey(key: string): string {
  return `${key.slice(0, 8)}…${key.slice(-6)}`
}

/**
 * Parses the address of a server. Without a scheme it gets that of the page.
 * @returns the address without trailing slashes; undefined if it is not valid
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
