/** What a database's errors mean, for both engines. */

interface DatabaseError {
  code?: string
  errno?: number
}

/** A unique or primary key is taken. */
export function isDuplicateKey(error: unknown): boolean {
  return ['ER_DUP_ENTRY', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY'].includes(
    codeOf(error),
  )
}

/** A column that holds no null was to be given one. */
export function isNullRefused(error: unknown): boolean {
  return ['ER_BAD_NULL_ERROR', 'SQLITE_CONSTRAINT_NOTNULL'].includes(codeOf(error))
}

/** The transaction was rolled back since it got in another one's way, on this node or, in a cluster, on another; it may be tried again. */
export function isConflict(error: unknown): boolean {
  return [
    'ER_LOCK_DEADLOCK',
    'ER_LOCK_WAIT_TIMEOUT',
    'ER_CHECKREAD',
    'ER_TRANSACTION_ROLLBACK_DURING_COMMIT',
  ].includes(codeOf(error))
}

/**
 * The server behind this connection takes no writes: it is a replica, or no longer the primary (1290, 1792, 1836, 1223),
 * has been cut off from its group (3100), or is not part of its cluster (1047).
 */
export function isNotForWriting(error: unknown): boolean {
  return [1290, 1792, 1836, 1223, 3100, 1047].includes((error as DatabaseError | null)?.errno ?? 0)
}

/** What a transaction was to conclude is no longer there to be concluded. */
export const CLAIM_LOST = 'CLAIM_LOST'

const DATA_ERRORS = [
  CLAIM_LOST,
  'ER_DATA_TOO_LONG',
  'ER_TRUNCATED_WRONG_VALUE',
  'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
  'ER_BAD_NULL_ERROR',
  'ER_WARN_DATA_OUT_OF_RANGE',
  'ER_INVALID_CHARACTER_STRING',
  'ER_CANNOT_CONVERT_STRING',
  'SQLITE_MISMATCH',
]

/** The database takes no value of this size, now or later: MySQL's max_allowed_packet is smaller. */
export function isTooLarge(error: unknown): boolean {
  return ['ER_NET_PACKET_TOO_LARGE', 'ER_WARN_ALLOWED_PACKET_OVERFLOWED', 'SQLITE_TOOBIG'].includes(
    codeOf(error),
  )
}

/** A table or a connection has another character set than this server gave it. */
export function isCharacterSetError(error: unknown): boolean {
  return [
    'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
    'ER_INVALID_CHARACTER_STRING',
    'ER_CANNOT_CONVERT_STRING',
    'ER_CANT_AGGREGATE_2COLLATIONS',
  ].includes(codeOf(error))
}

/** It was the row's fault, not the database's: others in its batch can still be stored. */
export function isDataError(error: unknown): boolean {
  const code = codeOf(error)
  return (
    DATA_ERRORS.includes(code) ||
    code.startsWith('SQLITE_CONSTRAINT') ||
    isDuplicateKey(error) ||
    isTooLarge(error)
  )
}

/** A short name of an error for the log; the full text may hold values, and so messages. */
export function codeOf(error: unknown): string {
  const { code, errno } = (error ?? {}) as DatabaseError
  return String(code ?? errno ?? (error as Error | undefined)?.name ?? 'unknown')
}
