import type { FlatEnv } from '../../src/config'

/** Settings for servers whose clients all come from one address, as fast as they can, and send as much as they can. */
export const UNMETERED = {
  RATE_LIMIT_ADDRESS: 'off',
  RATE_LIMIT_IDENTITY: 'off',
  INBOX_QUOTA_MESSAGES: '1000000',
  INBOX_QUOTA_BYTES: '100gb',
  SENDER_QUOTA_MESSAGES: '1000000',
  SENDER_QUOTA_BYTES: '100gb'
} as const satisfies FlatEnv
