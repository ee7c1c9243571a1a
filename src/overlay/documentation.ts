/** The documentation of the topic and the lookup service, which overlay nodes serve. */
import { version } from '../../package.json'
import {
  LOOKUP_SERVICE,
  MAX_ADVERTISED,
  MAX_HOSTS,
  MAX_OF_HOST,
  OVERLAY_TOPIC,
} from '../contract/protocol'
import { MAX_FOUND } from '../db/advertisements'

export interface Described {
  name: string
  shortDescription: string
  version: string
  documentation: string
}

export const TOPIC_MANAGERS = new Map<string, Described>([
  [
    OVERLAY_TOPIC,
    {
      name: 'MessageBox Topic Manager',
      shortDescription: 'Advertisements of the hosts where identities receive their messages.',
      version,
      documentation: `# ${OVERLAY_TOPIC}

An output is admitted if it is a PushDrop of exactly three fields:

1. an identity key, 33 bytes;
2. the host where this identity receives messages: an http or https URL in UTF-8, up to 255 bytes;
3. a signature over the bytes of both, by the identity key: protocol
   \`[1, "messagebox advertisement"]\`, key id \`1\`, counterparty \`anyone\`.

The server removes an admitted output when a client submits a transaction that spends it. An
identity may be advertised at up to ${MAX_HOSTS} hosts, and a transaction may have up to
${MAX_ADVERTISED} advertisements. Of an identity at one host, the server keeps up to
${MAX_OF_HOST} advertisements: the first and the newest.
`,
    },
  ],
])

export const LOOKUP_SERVICES = new Map<string, Described>([
  [
    LOOKUP_SERVICE,
    {
      name: 'MessageBox Lookup Service',
      shortDescription: 'Finds the hosts where identities receive their messages.',
      version,
      documentation: `# ${LOOKUP_SERVICE}

The query is \`{"identityKey": "02…", "host": "https://…"}\`. Both fields are optional. The answer holds
the unspent outputs of the topic ${OVERLAY_TOPIC}, the newest first, up to ${MAX_FOUND}.
`,
    },
  ],
])

/** The list of descriptions, without the documents. */
export function listDescribed(described: Map<string, Described>): object {
  return Object.fromEntries(
    [...described].map(([id, { documentation: _documentation, ...metadata }]) => [id, metadata]),
  )
}
