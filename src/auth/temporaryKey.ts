import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { Secret } from '../lib/secret'

/** Creates a private key for one run, for development and tests. Logs a warning. */
export function createTemporaryKey(logger: Logger): Secret {
  logger.warn(
    'SERVER_PRIVATE_KEY is not set: this run uses a new key, so its identity and its sessions ' +
      'end with it',
  )
  return new Secret(randomBytes(32).toString('hex'))
}
