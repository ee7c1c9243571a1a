/**
 * Statements in SQL, alone and in transactions. With MySQL, several statements share one round
 * trip, together with the one that begins the transaction. The commit has its own round trip: in a
 * packet with other statements, a Galera cluster reports a failed commit as a success.
 *
 * They go from Knex's pool to the driver directly: in a short query, Knex's query builder costs
 * more time than the driver. They emit Knex's events `query` and `query-error`.
 */
import type { Knex } from 'knex'
import { withTimeout } from '../../lib/timeout'
import { isMysql, QUERY_TIMEOUT_MS } from './dialect'
import { codeOf } from './faults'
import { retryWhileBusy, runOnSqlite, type SqliteConnection } from './sqliteDriver'

export interface Statement {
  sql: string
  bindings: readonly Knex.RawBinding[]
}

/** The rows that a `select` returned. For other statements, its content is undefined. */
export type Rows = Array<Record<string, unknown>>

export interface Transaction {
  run: (statements: Statement[]) => Promise<Rows[]>
  /** Runs the last statements and commits. */
  commit: (statements: Statement[]) => Promise<void>
}

/** Runs one statement. @throws the error of the database */
export async function execute(knex: Knex, statement: Statement): Promise<Rows> {
  const connection = await knex.client.acquireConnection()
  try {
    return isMysql(knex)
      ? await sendToMysql(knex, connection, statement)
      : await retryWhileBusy(() => sendToSqlite(knex, connection, statement))
  } finally {
    await knex.client.releaseConnection(connection)
  }
}

/**
 * Runs work in a transaction. The work has to call `commit` at its end.
 * @throws the error of the database or of the work, after a rollback
 */
export async function transact<T>(
  knex: Knex,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  return isMysql(knex) ? await transactOnMysql(knex, work) : await transactOnSqlite(knex, work)
}

async function transactOnSqlite<T>(
  knex: Knex,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  const connection = (await knex.client.acquireConnection()) as SqliteConnection
  const run = async (statements: Statement[]): Promise<Rows[]> => {
    // Lock before reading: if another process wrote in between, SQLite would reject the write.
    if (!connection.inTransaction)
      await retryWhileBusy(() => sendToSqlite(knex, connection, BEGIN_WRITING))
    return statements.map((statement) => sendToSqlite(knex, connection, statement))
  }
  try {
    return await work({
      run,
      commit: async (statements) => {
        if (statements.length > 0) await run(statements)
        if (connection.inTransaction) sendToSqlite(knex, connection, COMMIT)
      },
    })
  } catch (error) {
    if (connection.inTransaction) sendToSqlite(knex, connection, ROLLBACK)
    throw error
  } finally {
    await knex.client.releaseConnection(connection)
  }
}

async function transactOnMysql<T>(
  knex: Knex,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  const connection = (await knex.client.acquireConnection()) as MysqlConnection
  const send = async (statements: Statement[]): Promise<Rows[]> => {
    const sql = statements.map((statement) => statement.sql).join('; ')
    const bindings = statements.flatMap((statement) => statement.bindings)
    const results = await sendToMysql(knex, connection, { sql, bindings })
    // The driver returns the result of a single statement without a list around it.
    return statements.length === 1 ? [results] : (results as unknown as Rows[])
  }
  let begun = false
  const run = async (statements: Statement[]): Promise<Rows[]> => {
    const opening = begun ? [] : [BEGIN]
    begun = true
    return (await send([...opening, ...statements])).slice(opening.length)
  }
  try {
    return await work({
      run,
      commit: async (statements) => {
        if (statements.length > 0) await run(statements)
        if (begun) await send([COMMIT])
      },
    })
  } catch (error) {
    // If the connection is broken or about to be closed, the database rolls back by itself.
    if (begun && connection.__knex__disposed === undefined) await send([ROLLBACK]).catch(() => {})
    throw error
  } finally {
    await knex.client.releaseConnection(connection)
  }
}

/** A connection of the driver, as Knex's pool keeps it. */
interface MysqlConnection {
  query: (
    sql: string,
    bindings: readonly Knex.RawBinding[],
    done: (error: Error | null, rows: Rows) => void,
  ) => void
  /** If set, the pool closes the connection instead of reusing it. */
  __knex__disposed?: unknown
}

async function sendToMysql(
  knex: Knex,
  connection: MysqlConnection,
  { sql, bindings }: Statement,
): Promise<Rows> {
  knex.client.emit('query', { sql, bindings })
  const rows = new Promise<Rows>((resolve, reject) => {
    connection.query(sql, bindings, (error, result) => {
      if (error === null) resolve(result)
      else reject(error)
    })
  })
  try {
    return await withTimeout(rows, QUERY_TIMEOUT_MS, 'the query took too long', 'QUERY_TIMEOUT')
  } catch (error) {
    // The answer to a query that took too long would be read as that of the next one.
    if (codeOf(error) === 'QUERY_TIMEOUT') connection.__knex__disposed = error
    knex.client.emit('query-error', error)
    throw error
  }
}

function sendToSqlite(
  knex: Knex,
  connection: SqliteConnection,
  { sql, bindings }: Statement,
): Rows {
  knex.client.emit('query', { sql, bindings })
  try {
    return runOnSqlite(connection, sql, bindings) as Rows
  } catch (error) {
    knex.client.emit('query-error', error)
    throw error
  }
}

const BEGIN_WRITING: Statement = { sql: 'begin immediate', bindings: [] }
const BEGIN: Statement = { sql: 'start transaction', bindings: [] }
const COMMIT: Statement = { sql: 'commit', bindings: [] }
const ROLLBACK: Statement = { sql: 'rollback', bindings: [] }
