import { ConfigError } from '../config'

const HINTS: Record<string, (error: NodeJS.ErrnoException) => string> = {
  EADDRINUSE: error => `The port is taken: ${error.message}. Stop what uses it, or choose another with PORT.`,
  EACCES: error => `Not allowed: ${error.message}.${error.syscall === 'mkdir' ? ' SQLite\'s file is made below the working directory.' : ''}`,
  ECONNREFUSED: () => 'The database does not answer at the address in KNEX_DB_CONNECTION. Is it running?',
  ENOTFOUND: () => 'The host in KNEX_DB_CONNECTION cannot be found.',
  ETIMEDOUT: () => 'The database does not answer in time at the address in KNEX_DB_CONNECTION.',
  ER_ACCESS_DENIED_ERROR: accessDenied,
  // What MariaDB says of a user that it does not know.
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: accessDenied,
  ER_TABLEACCESS_DENIED_ERROR: noSchemaRights,
  ER_DBACCESS_DENIED_ERROR: noSchemaRights,
  ER_BAD_DB_ERROR: error => `The database named in KNEX_DB_CONNECTION does not exist: create it first, as DEPLOYING.md shows.${saidBy(error)}`,
  SQLITE_READONLY: () => 'The SQLite file, or its folder, may not be written by this user: give both to the user that the server runs as (chown), files beside it (-wal, -shm, .lock) included.',
  SQLITE_NOTADB: () => 'The file in KNEX_DB_CONNECTION is no SQLite database.',
  KnexTimeoutError: () => 'The database does not answer in time at the address in KNEX_DB_CONNECTION.',
  SQLITE_CANTOPEN: () => 'The SQLite file in KNEX_DB_CONNECTION cannot be opened. Does its folder exist, and may this user write there?'
}

function accessDenied (error: NodeJS.ErrnoException): string {
  return `The database refuses the user or the password in KNEX_DB_CONNECTION.${saidBy(error)}`
}

function noSchemaRights (error: NodeJS.ErrnoException): string {
  return `This account may not change the schema: grant what DEPLOYING.md lists, or run "npm run migrate" with one that may.${saidBy(error)}`
}

/** The database's own words; they name users and databases, and hold no password. */
function saidBy (error: NodeJS.ErrnoException & { sqlMessage?: string }): string {
  return error.sqlMessage === undefined ? '' : ` It says: ${error.sqlMessage}`
}

/** Something that a command cannot do as it was asked to; the message says what to do instead. */
export class UsageError extends Error {}

/** What was wrong and what to do, for people. What nobody has foreseen is told with its stack. */
export function describeFailure (error: unknown): string {
  const { code = (error as Error).name, stack, message } = error as NodeJS.ErrnoException
  if (error instanceof ConfigError || error instanceof UsageError) return message
  const hint = HINTS[code] ?? HINTS[primary(code)]
  return hint?.(error as NodeJS.ErrnoException) ?? stack ?? String(error)
}

/** SQLite's extended codes, such as SQLITE_READONLY_DIRECTORY, begin with the one that says what is wrong. */
function primary (code: string): string {
  return /^SQLITE_[A-Z]+/.exec(code)?.[0] ?? code
}

/** Ends a process that could not do its work, and says why. */
export function explainFailure (error: unknown): void {
  process.stderr.write(`\n${describeFailure(error)}\n\n`)
  process.exit(1)
}
