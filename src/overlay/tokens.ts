/** The server's own advertisements: their fields, and where they are published. */
import type { WalletProtocol } from '@bsv/sdk'
import { LOOKUP_SERVICE, OVERLAY_TOPIC, type IdentityKey } from '../contract/protocol'
import { decodePushDrop } from './pushDrop'

/**
 * `host`: the server's identity receives messages at this host. `SHIP`: the host accepts
 * transactions for the topic. `SLAP`: the host has the lookup service.
 */
export type TokenKind = 'host' | 'SHIP' | 'SLAP'

export interface TokenRecipe {
  kind: TokenKind
  protocolID: WalletProtocol
  /** The topic it is submitted to, and the service that finds it. */
  topic: string
  service: string
  /** The advertised topic or service, in SHIP and SLAP. */
  subject?: string
}

export const RECIPES: Record<TokenKind, TokenRecipe> = {
  host: {
    kind: 'host',
    protocolID: [1, 'messagebox advertisement'],
    topic: OVERLAY_TOPIC,
    service: LOOKUP_SERVICE,
  },
  SHIP: {
    kind: 'SHIP',
    protocolID: [2, 'service host interconnect'],
    topic: 'tm_ship',
    service: 'ls_ship',
    subject: OVERLAY_TOPIC,
  },
  SLAP: {
    kind: 'SLAP',
    protocolID: [2, 'service lookup availability'],
    topic: 'tm_slap',
    service: 'ls_slap',
    subject: LOOKUP_SERVICE,
  },
}

export const KEY_ID = '1'

/** The fields of a token without the signature, which comes last. */
export function fieldsOf(
  { kind, subject }: TokenRecipe,
  identityKey: IdentityKey,
  host: string,
): number[][] {
  const named = [Buffer.from(identityKey, 'hex'), Buffer.from(host)]
  return (subject === undefined ? named : [Buffer.from(kind), ...named, Buffer.from(subject)]).map(
    (field) => [...field],
  )
}

/** @returns undefined if the script is not a token of the identity */
export function readToken(
  script: Buffer,
  identityKey: IdentityKey,
): { kind: TokenKind; host: string } | undefined {
  const fields = decodePushDrop(script) ?? []
  const kind =
    fields.length === 3 ? 'host' : fields.length === 5 ? fields.shift()!.toString() : undefined
  const recipe = kind === 'host' || kind === 'SHIP' || kind === 'SLAP' ? RECIPES[kind] : undefined
  const [key, host, subject] = fields
  if (recipe === undefined || key?.toString('hex') !== identityKey) return undefined
  return recipe.subject === undefined || subject?.toString() === recipe.subject
    ? { kind: recipe.kind, host: host!.toString() }
    : undefined
}
