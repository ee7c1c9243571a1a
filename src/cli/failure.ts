import { ConfigError } from '../config'
import { StartError } from '../contract/errors'

const HINTS: Record<string, (error: NodeJS.ErrnoException) => string> = {
  EADDRINUSE: (error) =>
    `The port is taken: ${error.message}. Stop what uses it, or choose another with PORT.`,
  EEXIST: noFolder,
  ENOTDIR: noFolder,
  ENOENT: (error) =>
    error.syscall === 'connect'
      ? `Nothing listens at the socket that KNEX_DB_CONNECTION names: ${error.message}. ` +
        'Is the database running, and the path right?'
      : (error.stack ?? error.message),
  ENOSPC: noSpace,
  EACCES: (error) => {
    const text = `Not allowed: ${error.message}.`
    return error.syscall === 'mkdir'
      ? `${text} The server makes the SQLite file below the working directory.`
      : text
  },
  ECONNREFUSED: () =>
    'The database does not answer at the address in KNEX_DB_CONNECTION. Is it running?',
  ENOTFOUND: () => 'The host in KNEX_DB_CONNECTION cannot be found.',
  ETIMEDOUT: () => 'The database does not answer in time at the address in KNEX_DB_CONNECTION.',
  HANDSHAKE_NO_SSL_SUPPORT: () =>
    'The database offers no TLS, but "ssl" in KNEX_DB_CONNECTION requires it: ' +
    'turn TLS on in the database, or remove "ssl".',
  AUTH_SWITCH_PLUGIN_ERROR: (error) => {
    const [, plugin] = /plugin (\w+)/.exec(error.message) ?? []
    return (
      'The driver does not support the authentication plugin of the account in ' +
      `KNEX_DB_CONNECTION${plugin === undefined ? '' : `, ${plugin}`}. ` +
      'Use mysql_native_password or caching_sha2_password.'
    )
  },
  ER_OPTION_PREVENTS_STATEMENT: () =>
    'The database in KNEX_DB_CONNECTION is read-only, and its schema is not up to date: ' +
    'migrate at the primary first.',
  ER_BINLOG_STMT_MODE_AND_ROW_ENGINE: () =>
    'With binlog_format=STATEMENT the database rejects writes in READ COMMITTED: ' +
    'set it to ROW or MIXED.',
  ER_DISK_FULL: noSpace,
  ER_RECORD_FILE_FULL: noSpace,
  SQLITE_FULL: noSpace,
  ER_ACCESS_DENIED_ERROR: accessDenied,
  // MariaDB's code for an unknown user.
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: accessDenied,
  ER_TABLEACCESS_DENIED_ERROR: noSchemaRights,
  ER_DBACCESS_DENIED_ERROR: noSchemaRights,
  ER_BAD_DB_ERROR: (error) =>
    'The database named in KNEX_DB_CONNECTION does not exist: ' +
    'create it first, as DEPLOYING.md shows.' +
    saidBy(error),
  SQLITE_READONLY: () =>
    'This user may not write to the SQLite file or its folder. Give the folder, the file and ' +
    'the files beside it (-wal, -shm, .lock) to the user of the server (chown).',
  SQLITE_NOTADB: () => 'The file in KNEX_DB_CONNECTION is not a SQLite database.',
  KnexTimeoutError: () =>
    'The database does not answer in time at the address in KNEX_DB_CONNECTION.',
  ERR_DLOPEN_FAILED: otherNode,
  MODULE_NOT_FOUND: (error) =>
    /better-sqlite3/.test(error.message) ? otherNode(error) : (error.stack ?? error.message),
  SQLITE_CANTOPEN: () =>
    'The SQLite file in KNEX_DB_CONNECTION cannot be opened. ' +
    'Does its folder exist, and may this user write there?',
}

function noFolder(error: NodeJS.ErrnoException): string {
  return error.syscall === 'mkdir'
    ? `A file has the name that the folder of the SQLite file needs: ${error.message}.`
    : (error.stack ?? error.message)
}

function noSpace(_error: NodeJS.ErrnoException): string {
  return 'The disk of the database is full: make room there, and start again.'
}

function otherNode(_error: NodeJS.ErrnoException): string {
  return (
    `SQLite's driver is not built for this version of Node, ${process.version}: ` +
    'run "npm ci" again.'
  )
}

function accessDenied(error: NodeJS.ErrnoException): string {
  return `The database rejects the user or the password in KNEX_DB_CONNECTION.${saidBy(error)}`
}

function noSchemaRights(error: NodeJS.ErrnoException): string {
  return (
    'This account may not change the schema: grant what DEPLOYING.md lists, ' +
    `or run "npm run migrate" with one that may.${saidBy(error)}`
  )
}

/** The database's message names users and databases, but no password. */
function saidBy(error: NodeJS.ErrnoException & { sqlMessage?: string }): string {
  return error.sqlMessage === undefined ? '' : ` It says: ${error.sqlMessage}`
}

/** Why a command cannot do its work. The message says what to do. */
export class UsageError extends Error {}

/** @returns what is wrong and what to do, or the stack of an unexpected error */
export function describeFailure(error: unknown): string {
  const { code = (error as Error).name, stack, message } = error as NodeJS.ErrnoException
  if (error instanceof ConfigError || error instanceof StartError || error instanceof UsageError)
    return message
  const hint = HINTS[code] ?? HINTS[primary(code)]
  return hint?.(error as NodeJS.ErrnoException) ?? stack ?? String(error)
}

/** SQLite's extended codes, such as SQLITE_READONLY_DIRECTORY, begin with the primary code. */
function primary(code: string): string {
  return /^SQLITE_[A-Z]+/.exec(code)?.[0] ?? code
}

export function explainFailure(error: unknown): void {
  process.stderr.write(`\n${describeFailure(error)}\n\n`)
  process.exit(1)
}
