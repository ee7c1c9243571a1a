import dotenv from 'dotenv'
import { parseConfig, readEnv, type Config, type FlatEnv } from '../config'

/** The server's own settings: the environment, and `.env` in the working directory, as a start of the server reads them. */
export function readSettings (): FlatEnv {
  dotenv.config({ quiet: true })
  return readEnv(process.env)
}

/** @throws ConfigError */
export function readConfig (): Config {
  return parseConfig(readSettings())
}
