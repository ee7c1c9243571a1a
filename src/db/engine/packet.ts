/** How large a statement may be: MySQL limits it with max_allowed_packet. */
import type { Knex } from 'knex'
import { isMysql, QUERY_TIMEOUT_MS } from './dialect'

/** Upper limits in UTF-16 units, even if the database takes more. */
const MAX_BATCH_UNITS = 2 * 1024 * 1024
const MAX_PIECE_UNITS = 5 * 1024 * 1024
/** What a statement has beside its values. */
const FRAME_BYTES = 4096
/** In UTF-8, or escaped. */
const MAX_BYTES_PER_UNIT = 3

export interface StatementLimits {
  /** Of all bodies that one statement writes, in UTF-16 units. */
  batch: number
  /** Of one piece of a body. */
  piece: number
}

/** For a database without smaller limits. */
export const USUAL_LIMITS: StatementLimits = { batch: MAX_BATCH_UNITS, piece: MAX_PIECE_UNITS }

export async function readStatementLimits(knex: Knex): Promise<StatementLimits> {
  if (!isMysql(knex)) return USUAL_LIMITS
  const [[{ bytes }]] = await knex
    .raw('select @@max_allowed_packet as bytes')
    .timeout(QUERY_TIMEOUT_MS)
  const units = Math.floor((Number(bytes) - FRAME_BYTES) / MAX_BYTES_PER_UNIT)
  return { batch: Math.min(MAX_BATCH_UNITS, units), piece: Math.min(MAX_PIECE_UNITS, units) }
}
