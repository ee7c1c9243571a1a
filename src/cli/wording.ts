/** Counts, times and tables as people read them. */
import { resolve } from 'node:path'
import type { DatabaseConfig } from '../config'
import { formatNumber } from '../lib/format'

/** A database in words, without its password. */
export function describeDatabase({ client, connection }: DatabaseConfig): string {
  if (client === 'better-sqlite3') return `SQLite, ${resolve(String(connection.filename))}`
  return `MySQL, ${String(connection.database)} at ${String(connection.socketPath ?? `${String(connection.host ?? 'localhost')}:${String(connection.port ?? 3306)}`)}`
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${formatNumber(number)} ${number === 1 ? one : many}`
}

/** A time as ISO 8601 in UTC; null where there is none. */
export function time(milliseconds: number | null): string | null {
  return milliseconds === null ? null : new Date(milliseconds).toISOString()
}

/** What a terminal obeys, or what shows nothing or something else than it is: control and format characters, line separators. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu

/** A text that anybody may have written, without what a terminal would obey. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\uFFFD')
}

/** The same for a text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** How much of another server's words is shown, in characters. */
const SHOWN_OF_FOREIGN = 200

/** What another server has said: printable, and not more than a line or two. */
export function foreign(value: unknown): string {
  const text = printable(String(value))
  return text.length > SHOWN_OF_FOREIGN ? `${text.slice(0, SHOWN_OF_FOREIGN)}…` : text
}

/** A text as one word of a shell's command line; undefined where it holds what cannot be shown. */
export function quoted(text: string): string | undefined {
  return printable(text) === text ? `'${text.replaceAll("'", "'\\''")}'` : undefined
}

/** A document as JSON on several lines, with nothing in it that a terminal would obey. */
export function toPrintableJson(document: unknown): string {
  return JSON.stringify(document, undefined, 2).replace(UNPRINTABLE, (found) =>
    found === '\n' ? found : escape(found),
  )
}

function escape(text: string): string {
  return text
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
}

/** A URL without what may be secret: no user, no password, no search. */
export function address(url: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname.replace(/\/+$/, '')}`
}

/** Columns, each as wide as its longest cell. */
export function table(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_cell, column) =>
    Math.max(...rows.map((row) => row[column]!.length)),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
