/**
 * Transactions of statements that are known beforehand. To MySQL they travel together, with the words that begin the
 * transaction. The commit travels alone: in a packet with others, a Galera cluster tells a commit that failed as a success.
 */
import type { Knex } from 'knex'
import { isMysql, QUERY_TIMEOUT_MS } from './dialect'

export interface Statement {
  sql: string
  bindings: readonly Knex.RawBinding[]
}

/** The rows that a statement selected; of others, nothing to rely on. */
export type Rows = Array<Record<string, unknown>>

export interface Transaction {
  /** Carries statements out in their order. */
  run: (statements: Statement[]) => Promise<Rows[]>
  /** Carries the last statements out, and commits. */
  commit: (statements: Statement[]) => Promise<void>
}

/**
 * Runs a piece of work in a transaction, which ends with its `commit`.
 * @throws the database's error, or the work's; nothing is changed then
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
  return await knex.transaction(async (trx) => {
    const run = async (statements: Statement[]): Promise<Rows[]> => {
      const results: Rows[] = []
      for (const { sql, bindings } of statements) results.push(await trx.raw(sql, bindings))
      return results
    }
    return await work({
      // Before anything is read: where another process wrote in between, SQLite would refuse to write behind it.
      run: async (statements) => (await run([TAKE_WRITE_LOCK, ...statements])).slice(1),
      commit: async (statements) => {
        await run(statements)
      },
    })
  })
}

async function transactOnMysql<T>(
  knex: Knex,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  const connection = await knex.client.acquireConnection()
  const send = async (statements: Statement[]): Promise<Rows[]> => {
    const sql = statements.map((statement) => statement.sql).join('; ')
    const bindings = statements.flatMap((statement) => statement.bindings)
    const [results] = await knex.raw(sql, bindings).connection(connection).timeout(QUERY_TIMEOUT_MS)
    // A statement that travels alone is answered without a list around its answer.
    return statements.length === 1 ? [results] : results
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
    // A connection that is broken, or that was given up, takes its transaction with it.
    if (begun) await send([ROLLBACK]).catch(() => {})
    throw error
  } finally {
    await knex.client.releaseConnection(connection)
  }
}

/** It changes nothing, but SQLite takes its one lock for it. */
const TAKE_WRITE_LOCK: Statement = { sql: 'delete from quota_usage where 0', bindings: [] }
const BEGIN: Statement = { sql: 'start transaction', bindings: [] }
const COMMIT: Statement = { sql: 'commit', bindings: [] }
const ROLLBACK: Statement = { sql: 'rollback', bindings: [] }
