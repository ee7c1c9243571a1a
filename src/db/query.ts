import { ApiError } from '../errors'
import { CLAIM_LOST, codeOf, isTooLarge } from './faults'

/**
 * Runs an operation on the database. Whatever the database reports that is no answer is a refusal, whose fault is
 * logged without its values.
 */
export async function query<T> (operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ApiError || codeOf(error) === CLAIM_LOST) throw error
    const fault = { what: 'the database failed', operation, fault: codeOf(error) }
    throw new ApiError(isTooLarge(error) ? 'ERR_BODY_TOO_LARGE' : 'ERR_UNAVAILABLE', undefined, {}, { fault })
  }
}
