import { ApiError } from '../contract/errors'
import type { Caller } from '../contract/protocol'
import type { TransactionVerifier } from '../spv/verifier'
import type { VerifiedPayment } from '../spv/verify'

/** Verifies a payment's transaction, given as AtomicBEEF (BRC-95). */
export type VerifyPayment = (caller: Caller, tx: Buffer) => Promise<VerifiedPayment>

/** @throws ApiError ERR_INVALID_PAYMENT, ERR_PAYMENTS_UNAVAILABLE, ERR_SERVER_BUSY when called */
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
      { fault: { what: 'the server could not check a payment', reason: verdict.unavailable } },
    )
  }
}
