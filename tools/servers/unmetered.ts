import type { FlatEnv } from '../../src/config'

/** Settings for servers whose clients all come from one address, as fast as they can, and send as much as they can. */
export const UNMETERED = {
  RATE_LIMIT_ADDRESS: 'off',
  RATE_LIMIT_IDENTITY: 'off',
  VERIFICATION_SECONDS: 'off',
  MAX_CONNECTIONS_ADDRESS: 'off',
  MAX_SOCKETS_ADDRESS: 'off',
  MAX_SOCKETS_IDENTITY: 'off',
  INBOX_QUOTA_MESSAGES: '1000000',
  INBOX_QUOTA_BYTES: '100gb',
  SENDER_QUOTA_MESSAGES: '1000000',
  SENDER_QUOTA_BYTES: '100gb',
} as const satisfies FlatEnv

/** The limits as they are when nothing is set, for a server that would else be unmetered. */
export const DEFAULT_LIMITS = Object.fromEntries(
  Object.keys(UNMETERED).map((name) => [name, '']),
) as FlatEnv
