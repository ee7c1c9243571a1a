import type { Request, RequestHandler } from 'express'
import { createHash, timingSafeEqual } from 'node:crypto'
import { parseJson, readBody, refuseUnread } from '../auth/body'
import type { Schema } from '../db/schema'
import { ApiError } from '../errors'
import type { ClientAddress } from '../limits/address'
import type { RateLimiter } from '../limits/rates'
import type { Secret } from '../secret'

const MAX_BYTES = 4096

export interface MigrationParts {
  key: Secret
  /** Of attempts, whether or not the key is right. */
  attempts: RateLimiter
  address: ClientAddress
  schema: Schema
}

/**
 * POST /migrate with `{"migratekey": KEY}`: brings the schema up to date, for whoever has the operator's key.
 * @throws ApiError ERR_UNAUTHORIZED, ERR_RATE_LIMITED, ERR_MIGRATION_FAILED
 */
export function migrationHandler ({ key, attempts, address, schema }: MigrationParts): RequestHandler {
  return async (req, res) => {
    await attempts.consume(address.of(req))
    const { migratekey } = Object(await readJson(req).catch((error: unknown) => {
      refuseUnread(req, res)
      throw error
    })) as { migratekey?: unknown }
    if (typeof migratekey !== 'string' || !isSame(migratekey, key.reveal())) throw new ApiError('ERR_UNAUTHORIZED')
    const result = await schema.migrate().catch((error: unknown) => {
      throw new ApiError('ERR_MIGRATION_FAILED', undefined, {}, { fault: { what: 'the schema could not be brought up to date', err: error } })
    })
    res.json({ status: 'success', result })
  }
}

async function readJson (req: Request): Promise<unknown> {
  return parseJson(await readBody(req, MAX_BYTES))
}

/** In a time that tells nothing of how much of the two is the same, nor of their lengths. */
function isSame (given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}
