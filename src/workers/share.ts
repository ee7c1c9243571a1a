import type { Config } from '../config'
import { largestAnswer, MEMORY_FACTOR } from '../config/parsers'
import { MAX_MYSQL_CONNECTIONS } from '../db/engine/knex'

/** Commits, queries and background jobs of a worker need a few connections at once. */
const MIN_CONNECTIONS = 3

/** The most connections to MySQL that each of several workers opens. */
export function connectionsOfWorker(workers: number): number {
  return Math.max(MIN_CONNECTIONS, Math.floor(MAX_MYSQL_CONNECTIONS / workers))
}

/**
 * What one of several workers may use of the memory and of the connections to the database that the
 * server may use. A worker can always hold the largest body and answer.
 */
export function configOfWorker(config: Config, workers: number): Config {
  const { db, http, mailbox, memory } = config
  const partOf = (total: number): number => Math.ceil(total / workers)
  const largest = largestAnswer(mailbox.maxPageBytes, http.maxBodyBytes)
  return {
    ...config,
    db: { ...db, maxConnections: connectionsOfWorker(workers) },
    memory: {
      incoming: Math.max(partOf(memory.incoming), http.maxBodyBytes * MEMORY_FACTOR),
      outgoing: Math.max(partOf(memory.outgoing), largest * MEMORY_FACTOR),
    },
  }
}
