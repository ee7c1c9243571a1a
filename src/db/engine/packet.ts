/** How large the statements are that the database takes: MySQL has a setting for it. */
import type { Knex } from 'knex'
import { isMysql, QUERY_TIMEOUT_MS } from './dialect'

/** The most that one statement writes, and one piece of a body, in UTF-16 units, however much the database takes. */
const MAX_BATCH = 2 * 1024 * 1024
const MAX_PIECE = 5 * 1024 * 1024
/** What stands in a statement around the values, in bytes. */
const FRAME_BYTES = 4096
/** A UTF-16 unit takes at most so many bytes: in UTF-8, or escaped. */
const MAX_BYTES_A_UNIT = 3

export interface StatementLimits {
  /** Of all bodies that one statement writes, in UTF-16 units. */
  batch: number
  /** Of one piece of a body. */
  piece: number
}

/** For a database that takes whatever this server writes. */
export const USUAL_LIMITS: StatementLimits = { batch: MAX_BATCH, piece: MAX_PIECE }

export async function readStatementLimits(knex: Knex): Promise<StatementLimits> {
  if (!isMysql(knex)) return USUAL_LIMITS
  const [[{ bytes }]] = await knex
    .raw('select @@max_allowed_packet as bytes')
    .timeout(QUERY_TIMEOUT_MS)
  const units = Math.floor((Number(bytes) - FRAME_BYTES) / MAX_BYTES_A_UNIT)
  return { batch: Math.min(MAX_BATCH, units), piece: Math.min(MAX_PIECE, units) }
}
