import { resolve } from 'node:path'
import type { DatabaseConfig } from '../config'

/** A database in words, without its password. */
export function describeDatabase({ client, connection }: DatabaseConfig): string {
  if (client === 'better-sqlite3') return `SQLite, ${resolve(String(connection.filename))}`
  return `MySQL, ${String(connection.database)} at ${String(connection.socketPath ?? `${String(connection.host ?? 'localhost')}:${String(connection.port ?? 3306)}`)}`
}
