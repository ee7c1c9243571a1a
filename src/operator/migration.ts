import type { RequestHandler } from 'express'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Schema } from '../db/engine/schema'
import { ApiError } from '../contract/errors'
import { asFields } from '../contract/primitives'
import { receiveBody } from '../http/body'
import { exchangeOf } from '../http/exchange'
import { parseJson } from '../http/json'
import type { Limits } from '../limits'
import type { Secret } from '../lib/secret'

const MAX_BYTES = 4096

export interface MigrationParts {
  key: Secret
  limits: Limits
  schema: Schema
}

/**
 * POST /migrate with `{"migratekey": KEY}`: brings the schema up to date, for whoever has the operator's key.
 * @throws ApiError ERR_UNAUTHORIZED, ERR_RATE_LIMITED, ERR_MIGRATION_FAILED
 */
export function migrationHandler({ key, limits, schema }: MigrationParts): RequestHandler {
  return async (req, res) => {
    // An attempt counts whether or not the key is right.
    await limits.migrations.consume(exchangeOf(req).address)
    const { migratekey } = asFields(parseJson(await receiveBody(req, MAX_BYTES, limits))) ?? {}
    if (typeof migratekey !== 'string' || !isSame(migratekey, key.reveal()))
      throw new ApiError('ERR_UNAUTHORIZED')
    const result = await schema.migrate().catch((error: unknown) => {
      throw new ApiError(
        'ERR_MIGRATION_FAILED',
        undefined,
        {},
        { fault: { what: 'the schema could not be brought up to date', err: error } },
      )
    })
    res.json({ status: 'success', result })
  }
}

/** In a time that tells nothing of how much of the two is the same, nor of their lengths. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}
