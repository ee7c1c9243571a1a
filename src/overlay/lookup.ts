/** A query of the lookup service: `{"service", "query": {"identityKey"?, "host"?}}`. */
import type { AdvertisementQuery } from '../db/advertisements'
import { LOOKUP_SERVICE } from '../contract/protocol'
import { describe, field, object, publicKey, refine, text, type Schema } from '../contract/schema'

const MAX_HOST_LENGTH = 2048

const service: Schema<string> = {
  read: (value) => (value === LOOKUP_SERVICE ? LOOKUP_SERVICE : undefined),
  json: { const: LOOKUP_SERVICE },
}

/** An empty query finds all advertisements. */
const query = object({
  identityKey: field(
    describe(publicKey, 'The identity whose hosts are wanted.'),
    'ERR_INVALID_QUERY',
    {
      optional: true,
      text: '"identityKey" must be an identity key: a secp256k1 public key in hex.',
    },
  ),
  host: field(
    describe(text(MAX_HOST_LENGTH), 'The host, exactly as it is advertised.'),
    'ERR_INVALID_QUERY',
    { optional: true, text: `"host" must be a text of up to ${MAX_HOST_LENGTH} characters.` },
  ),
})

export const QUESTION = refine(
  object({
    service: field(service, 'ERR_UNKNOWN_SERVICE'),
    query: field(query, 'ERR_INVALID_QUERY'),
  }),
  ({ query: asked }): AdvertisementQuery => asked,
)
