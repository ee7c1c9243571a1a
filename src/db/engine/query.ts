import { ApiError, type ErrorCode } from '../../contract/errors'
import { CLAIM_LOST, codeOf, isCharacterSetError, isTooLarge } from './faults'
import { retryConflicts } from './retries'

/**
 * Runs an operation on the database, one statement or one transaction, again if it got in another's way. Any error of
 * the database becomes a refusal, whose fault is logged without its values.
 */
export async function query<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await retryConflicts(work)
  } catch (error) {
    if (error instanceof ApiError || codeOf(error) === CLAIM_LOST) throw error
    const fault = { what: 'the database failed', operation, fault: codeOf(error) }
    throw new ApiError(refusalOf(error), undefined, {}, { fault })
  }
}

function refusalOf(error: unknown): ErrorCode {
  if (isTooLarge(error)) return 'ERR_BODY_TOO_LARGE'
  // To try again would not help: the operator has to.
  return isCharacterSetError(error) ? 'ERR_INTERNAL' : 'ERR_UNAVAILABLE'
}
