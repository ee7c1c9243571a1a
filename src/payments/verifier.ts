import { ApiError } from '../contract/errors'
import type { Caller } from '../contract/protocol'
import type { TransactionVerifier } from '../spv/verifier'
import type { VerifiedPayment } from '../spv/verify'

/** Whether a payment's transaction, in AtomicBEEF, holds; all errors are from the catalogue. */
export type VerifyPayment = (caller: Caller, tx: Buffer) => Promise<VerifiedPayment>

/** @returns what throws ApiError ERR_INVALID_PAYMENT, ERR_PAYMENTS_UNAVAILABLE where headers cannot be had, ERR_SERVER_BUSY */
export function verifyPayments(verifier: TransactionVerifier<'payment'>): VerifyPayment {
  return async (caller, tx) => {
    const verdict = await verifier.verify(caller.address, tx)
    if ('verified' in verdict) return verdict.verified
    if ('invalid' in verdict)
      throw new ApiError('ERR_INVALID_PAYMENT', `The payment is not valid: ${verdict.invalid}.`)
    throw new ApiError(
      'ERR_PAYMENTS_UNAVAILABLE',
      undefined,
      {},
      { fault: { what: 'a payment could not be checked', reason: verdict.unavailable } },
    )
  }
}
