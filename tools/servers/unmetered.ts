import type { FlatEnv } from '../../src/config'

/** Settings without limits, for servers whose load comes from one address. */
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

/** Restores the default limits. */
export const DEFAULT_LIMITS = Object.fromEntries(
  Object.keys(UNMETERED).map((name) => [name, '']),
) as FlatEnv
