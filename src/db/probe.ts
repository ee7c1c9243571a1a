/** Looks whether the database takes writes, without changing anything in it. */
import { statSync } from 'node:fs'
import type { Knex } from 'knex'
import { isMysql } from './engine'

/** How long the database may take, in milliseconds. */
const TIMEOUT_MS = 2000
/** How often SQLite's file is written to at most: a write is a sync to disk, and anybody may ask. */
const SQLITE_INTERVAL_MS = 1000

export class Probe {
  /** What the file of SQLite's database was when it was first asked for. */
  #file: number | undefined
  #writtenAt = -Infinity

  constructor (private readonly knex: Knex) {}

  /** @throws the database's error, or that its file is gone */
  async run (): Promise<void> {
    if (isMysql(this.knex)) await this.#query('delete from quota_usage where 1 = 0')
    else await this.#writeSqlite()
  }

  async #writeSqlite (): Promise<void> {
    // SQLite goes on with a file that was deleted, and all is lost when it ends.
    this.#file ??= inodeOf(this.knex)
    if (inodeOf(this.knex) !== this.#file) throw Object.assign(new Error('the file of the database was deleted or replaced'), { code: 'SQLITE_FILE_GONE' })
    if (performance.now() - this.#writtenAt < SQLITE_INTERVAL_MS) return
    const [row] = await this.#query('pragma user_version')
    await this.#query(`pragma user_version = ${row?.user_version ?? 0}`)
    this.#writtenAt = performance.now()
  }

  async #query (sql: string): Promise<Array<Record<string, number>>> {
    return await this.knex.raw(sql).timeout(TIMEOUT_MS) as Array<Record<string, number>>
  }
}

/** Undefined for a database in memory, and if there is no file. */
function inodeOf (knex: Knex): number | undefined {
  const { filename } = knex.client.config.connection as { filename: string }
  return statSync(filename, { throwIfNoEntry: false })?.ino
}
