import type { Config } from '../config'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Schema } from '../db/engine/schema'
import { COUNT, listOf, STRING, success } from '../contract/answers'
import { ApiError } from '../contract/errors'
import { asFields } from '../contract/primitives'
import { fieldsOf } from '../contract/schema'
import { receiveBody } from '../http/body'
import { exchangeOf } from '../http/exchange'
import { parseJson } from '../http/json'
import type { Limits } from '../limits'
import type { Operation } from '../routes/route'

const MAX_BODY_BYTES = 4096

export interface MigrationParts {
  config: Pick<Config, 'migrate'>
  limits: Limits
  schema: Schema
}

export const migrate: Operation<MigrationParts> = {
  method: 'post',
  path: '/migrate',
  id: 'migrate',
  tag: 'Server',
  summary: 'Update the schema (needs `MIGRATE_KEY`)',
  description:
    'Runs the pending migrations. The client sends the value of `MIGRATE_KEY`. If that is not ' +
    'set, this path is 404. One address may make ten attempts per minute.',
  access: 'open',
  body: {
    schema: fieldsOf(
      { migratekey: { json: { type: 'string', description: 'The value of `MIGRATE_KEY`.' } } },
      ['migratekey'],
    ),
    examples: { key: { migratekey: "the operator's key" } },
  },
  answers: {
    200: {
      description: 'The schema is up to date.',
      schema: success({
        result: {
          type: 'array',
          prefixItems: [COUNT, listOf(STRING)],
          minItems: 2,
          maxItems: 2,
          description: 'The number of the batch and the names of the migrations that ran.',
        },
      }),
      examples: { nothing: { status: 'success', result: [1, []] } },
    },
  },
  errors: [
    'ERR_UNAUTHORIZED',
    'ERR_INVALID_JSON',
    'ERR_BODY_TOO_LARGE',
    'ERR_RATE_LIMITED',
    'ERR_MIGRATION_FAILED',
    'ERR_NOT_FOUND',
  ],
  sample: `const response = await fetch(\`\${host}/migrate\`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ migratekey: process.env.MIGRATE_KEY })
})
console.log(await response.json())`,
  isEnabled: ({ config }) => config.migrate.key !== undefined,
  createHandler: ({ config, limits, schema }) => {
    const { key } = config.migrate
    return async (req, res) => {
      // An attempt counts even if the key is right.
      await limits.migrations.consume(exchangeOf(req).address)
      const { migratekey } =
        asFields(parseJson(await receiveBody(req, MAX_BODY_BYTES, limits))) ?? {}
      if (typeof migratekey !== 'string' || !isSame(migratekey, key!.reveal()))
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
  },
}

/** Compares in constant time, even if the lengths differ. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}
