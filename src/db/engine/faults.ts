/** What the errors of MySQL and SQLite mean. */

interface DatabaseError {
  code?: string
  errno?: number
}

export function isDuplicateKey(error: unknown): boolean {
  return ['ER_DUP_ENTRY', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY'].includes(
    codeOf(error),
  )
}

/** A statement wrote NULL into a NOT NULL column. */
export function isNullRefused(error: unknown): boolean {
  return ['ER_BAD_NULL_ERROR', 'SQLITE_CONSTRAINT_NOTNULL'].includes(codeOf(error))
}

/**
 * The database rolled back the transaction because of a conflict with another one, on this node or
 * on another node of the cluster. It may be tried again.
 */
export function isConflict(error: unknown): boolean {
  return [
    'ER_LOCK_DEADLOCK',
    'ER_LOCK_WAIT_TIMEOUT',
    'ER_CHECKREAD',
    'ER_TRANSACTION_ROLLBACK_DURING_COMMIT',
  ].includes(codeOf(error))
}

/**
 * The database server of this connection takes no writes. It is a replica or no longer the primary
 * (1290, 1792, 1836, 1223), is cut off from its group (3100), or is not in its cluster (1047).
 */
export function isNotForWriting(error: unknown): boolean {
  return [1290, 1792, 1836, 1223, 3100, 1047].includes((error as DatabaseError | null)?.errno ?? 0)
}

/** The code of an error of this server: another request has taken over the claim on a payment. */
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

/** A value is larger than MySQL's max_allowed_packet, or than SQLite can store. */
export function isTooLarge(error: unknown): boolean {
  return ['ER_NET_PACKET_TOO_LARGE', 'ER_WARN_ALLOWED_PACKET_OVERFLOWED', 'SQLITE_TOOBIG'].includes(
    codeOf(error),
  )
}

/** A table or a connection does not have the character set that this server sets. */
export function isCharacterSetError(error: unknown): boolean {
  return [
    'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
    'ER_INVALID_CHARACTER_STRING',
    'ER_CANNOT_CONVERT_STRING',
    'ER_CANT_AGGREGATE_2COLLATIONS',
  ].includes(codeOf(error))
}

/** A row is at fault, not the database: the other rows of its batch can be stored. */
export function isDataError(error: unknown): boolean {
  const code = codeOf(error)
  return (
    DATA_ERRORS.includes(code) ||
    code.startsWith('SQLITE_CONSTRAINT') ||
    isDuplicateKey(error) ||
    isTooLarge(error)
  )
}

/** A short name of an error for the log. Its full text may contain messages. */
export function codeOf(error: unknown): string {
  const { code, errno } = (error ?? {}) as DatabaseError
  return String(code ?? errno ?? (error as Error | undefined)?.name ?? 'unknown')
}
