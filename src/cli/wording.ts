/** Formats counts, times and tables for the terminal. */
import { resolve } from 'node:path'
import type { DatabaseConfig } from '../config'
import { formatNumber } from '../lib/format'

/** A database in words, without its password. */
export function describeDatabase({ client, connection }: DatabaseConfig): string {
  if (client === 'better-sqlite3') return `SQLite, ${resolve(String(connection.filename))}`
  const { database, host = 'localhost', port = 3306, socketPath } = connection
  return `MySQL, ${String(database)} at ${String(socketPath ?? `${String(host)}:${String(port)}`)}`
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${formatNumber(number)} ${number === 1 ? one : many}`
}

/** A time as ISO 8601 in UTC. */
export function time(milliseconds: number | null): string | null {
  return milliseconds === null ? null : new Date(milliseconds).toISOString()
}

/** Control and format characters and line separators, which can deceive or control a terminal. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu

/** Makes a text of a client or another server safe to show on a terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\uFFFD')
}

export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

const MAX_FOREIGN_LENGTH = 200

/** A value from another server: printable, and shortened. */
export function foreign(value: unknown): string {
  const text = printable(String(value))
  return text.length > MAX_FOREIGN_LENGTH ? `${text.slice(0, MAX_FOREIGN_LENGTH)}…` : text
}

/** A text as one word of a shell's command line; undefined if it is not printable. */
export function quoted(text: string): string | undefined {
  return printable(text) === text ? `'${text.replaceAll("'", "'\\''")}'` : undefined
}

/** Indented JSON that is safe to show on a terminal. */
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

/** A URL without user, password and query, which may be secret. */
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
