import dotenv from 'dotenv'
import { existsSync, readFileSync } from 'node:fs'
import { parseConfig, readEnv, type Config, type FlatEnv } from '../config'
import { StartError } from '../contract/errors'

/** The server's settings, from the environment and from `.env` in the working directory. */
export function readSettings(): FlatEnv {
  loadDotEnv()
  return readEnv(process.env)
}

/**
 * Adds the variables of `.env` to the environment, which takes precedence.
 * @throws StartError if `.env` is UTF-16, in which no variable would be found
 */
export function loadDotEnv(): void {
  if (existsSync('.env') && readFileSync('.env').includes(0))
    throw new StartError(
      '.env is not in UTF-8, probably in UTF-16, and cannot be read: save it as UTF-8.',
    )
  dotenv.config({ quiet: true })
}

/** @throws ConfigError */
export function readConfig(): Config {
  return parseConfig(readSettings())
}
