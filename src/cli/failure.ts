import { ConfigError } from '../config'

const HINTS: Record<string, (error: NodeJS.ErrnoException) => string> = {
  EADDRINUSE: error => `The port is taken: ${error.message}. Stop what uses it, or choose another with PORT.`,
  EACCES: error => `Not allowed: ${error.message}.`,
  ECONNREFUSED: () => 'The database does not answer at the address in KNEX_DB_CONNECTION. Is it running?',
  ENOTFOUND: () => 'The host in KNEX_DB_CONNECTION cannot be found.',
  ETIMEDOUT: () => 'The database does not answer in time at the address in KNEX_DB_CONNECTION.',
  ER_ACCESS_DENIED_ERROR: () => 'The database refuses the user or the password in KNEX_DB_CONNECTION.',
  ER_BAD_DB_ERROR: () => 'The database named in KNEX_DB_CONNECTION does not exist: create it first, as DEPLOYING.md shows.',
  SQLITE_CANTOPEN: () => 'The SQLite file in KNEX_DB_CONNECTION cannot be opened. Does its folder exist, and may this user write there?'
}

/** Ends a process that could not do its work, with a text for people: what was wrong and what to do. */
export function explainFailure (error: unknown): void {
  const { code = '', stack, message } = error as NodeJS.ErrnoException
  const text = error instanceof ConfigError ? message : HINTS[code]?.(error as NodeJS.ErrnoException) ?? stack ?? String(error)
  process.stderr.write(`\n${text}\n\n`)
  process.exit(1)
}
