import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Knex } from 'knex'
import type { Config } from '../../config'
import { createKnex } from '../../db/engine/knex'
import { readSchemaState } from '../../db/engine/migrate'
import { describeDatabase } from '../wording'
import { readConfig } from '../environment'
import { UsageError } from '../failure'

/** What a command found or did, as text and as JSON. */
export interface Outcome {
  text: string
  json: object
  /** The command failed or found problems: the exit code is 1. */
  failed?: boolean
}

export interface OpenDatabase {
  config: Config
  knex: Knex
  /** The description of the database. */
  name: string
}

/**
 * Opens the configured database for one command.
 * @throws UsageError if there is none, or if its schema has another version
 */
export async function withDatabase<T>(work: (database: OpenDatabase) => Promise<T>): Promise<T> {
  const config = readConfig()
  const { client, connection } = config.db
  const file = String(connection.filename)
  if (client === 'better-sqlite3' && !existsSync(file)) {
    throw new UsageError(
      `There is no database at ${resolve(file)}: ` +
        "run this on the server's machine, with its environment.",
    )
  }
  const knex = createKnex(config.db)
  try {
    const name = describeDatabase(config.db)
    const { missing, unknown } = await readSchemaState(knex)
    if (unknown.length > 0)
      throw new UsageError(
        `${name}: the schema is newer than this program (${unknown.join(', ')}). ` +
          'Use the version of the program that belongs to the server.',
      )
    if (missing.length > 0)
      throw new UsageError(
        `${name}: the schema is not up to date. Run "migrate" first, or start the server.`,
      )
    return await work({ config, knex, name })
  } finally {
    await knex.destroy()
  }
}
