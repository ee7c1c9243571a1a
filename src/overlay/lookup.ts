/** Questions to the lookup service. */
import type { AdvertisementQuery } from '../db/advertisements'
import { ApiError } from '../contract/errors'
import { describe, fieldsOf, publicKey, text } from '../contract/schema'
import { asFields } from '../contract/primitives'
import { SERVICE } from './topic'

const host = describe(text(2048), 'The host, exactly as it is advertised.')
const identityKey = describe(publicKey, 'Whose host is asked for.')

/** A question as JSON Schema. */
export const QUESTION = fieldsOf(
  {
    service: { json: { const: SERVICE } },
    query: { json: fieldsOf({ identityKey, host }) },
  },
  ['service', 'query'],
)

/**
 * Takes a question for what it is: `{"service", "query": {"identityKey"?, "host"?}}`; an empty query asks for all.
 * @throws ApiError ERR_UNKNOWN_SERVICE, ERR_INVALID_QUERY
 */
export function parseQuestion(body: unknown): AdvertisementQuery {
  const { service, query } = asFields(body) ?? {}
  if (service !== SERVICE) throw new ApiError('ERR_UNKNOWN_SERVICE')
  const fields = asFields(query)
  if (fields === undefined) throw new ApiError('ERR_INVALID_QUERY')
  const asked = { identityKey: identityKey.read(fields.identityKey), host: host.read(fields.host) }
  if (fields.identityKey !== undefined && asked.identityKey === undefined)
    throw new ApiError(
      'ERR_INVALID_QUERY',
      '"identityKey" must be an identity key: a secp256k1 public key in hex.',
    )
  if (fields.host !== undefined && asked.host === undefined)
    throw new ApiError('ERR_INVALID_QUERY', '"host" must be a text of up to 2048 characters.')
  return {
    ...(asked.identityKey !== undefined && { identityKey: asked.identityKey }),
    ...(asked.host !== undefined && { host: asked.host }),
  }
}
