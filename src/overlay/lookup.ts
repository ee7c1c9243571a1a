/** Questions to the lookup service. */
import type { AdvertisementQuery } from '../db/advertisements'
import { ApiError } from '../errors'
import { asFields, toIdentityKey } from '../values'
import { SERVICE } from './topic'

/**
 * Takes a question for what it is: `{"service", "query": {"identityKey"?, "host"?}}`.
 * @throws ApiError ERR_UNKNOWN_SERVICE, ERR_INVALID_QUERY
 */
export function parseQuestion (body: unknown): AdvertisementQuery {
  const { service, query = {} } = asFields(body) ?? {}
  if (service !== SERVICE) throw new ApiError('ERR_UNKNOWN_SERVICE')
  const fields = asFields(query)
  if (fields === undefined) throw new ApiError('ERR_INVALID_QUERY')
  const { identityKey, host } = fields
  const key = toIdentityKey(identityKey)
  if (identityKey !== undefined && key === undefined) throw new ApiError('ERR_INVALID_QUERY', '"identityKey" must be an identity key: a secp256k1 public key in hex.')
  if (host !== undefined && typeof host !== 'string') throw new ApiError('ERR_INVALID_QUERY', '"host" must be a text.')
  return { ...(key !== undefined && { identityKey: key }), ...(host !== undefined && { host }) }
}
