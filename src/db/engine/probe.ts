/** Checks whether the database takes writes, without changing its data. */
import type { Knex } from 'knex'
import { isMysql } from './dialect'
import { isFileGone } from './knex'

const PROBE_TIMEOUT_MS = 2000
/** Each write is a sync to disk, and any client may ask for /ready at any rate. */
const MIN_SQLITE_WRITE_INTERVAL_MS = 1000

export class Probe {
  #writtenAt = -Infinity

  constructor(private readonly knex: Knex) {}

  /** @throws the database's error, or that its file is gone */
  async run(): Promise<void> {
    if (isMysql(this.knex)) await this.#query('delete from quota_usage where 1 = 0')
    else await this.#writeSqlite()
  }

  async #writeSqlite(): Promise<void> {
    const { filename } = this.knex.client.config.connection as { filename: string }
    if (isFileGone(filename))
      throw Object.assign(new Error('the file of the database was deleted or replaced'), {
        code: 'SQLITE_FILE_GONE',
      })
    if (performance.now() - this.#writtenAt < MIN_SQLITE_WRITE_INTERVAL_MS) return
    const [row] = await this.#query('pragma user_version')
    await this.#query(`pragma user_version = ${row?.user_version ?? 0}`)
    this.#writtenAt = performance.now()
  }

  async #query(sql: string): Promise<Array<Record<string, number>>> {
    return (await this.knex.raw(sql).timeout(PROBE_TIMEOUT_MS)) as Array<Record<string, number>>
  }
}
