import dotenv from 'dotenv'
import { existsSync, readFileSync } from 'node:fs'
import { parseConfig, readEnv, type Config, type FlatEnv } from '../config'
import { StartError } from '../contract/errors'

/** The server's own settings: the environment, and `.env` in the working directory, as a start of the server reads them. */
export function readSettings(): FlatEnv {
  loadDotEnv()
  return readEnv(process.env)
}

/**
 * Puts what `.env` holds into the environment, but for what is there already.
 * @throws StartError if it is UTF-16, of which nothing would be found
 */
export function loadDotEnv(): void {
  if (existsSync('.env') && readFileSync('.env').includes(0))
    throw new StartError(
      '.env is not in UTF-8, probably in UTF-16: save it as UTF-8, or none of its settings would be seen.',
    )
  dotenv.config({ quiet: true })
}

/** @throws ConfigError */
export function readConfig(): Config {
  return parseConfig(readSettings())
}
