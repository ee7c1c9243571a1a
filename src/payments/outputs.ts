/** Checks a payment's outputs: each is locked to its payee, and each payee gets its price. */
import { ApiError } from '../contract/errors'
import type { Price } from '../permissions/rules'
import type { IdentityKey } from '../contract/protocol'
import type { VerifiedPayment } from '../spv/verify'
import type { Locks } from './lockingScripts'
import { parseOutput, type AssignedOutput, type PaidOutput, type Payee } from './payment'

export interface Paid extends PaidOutput {
  payee: Payee
  satoshis: number
}

/**
 * Checks that each output pays its payee.
 * @throws ApiError ERR_PAYMENT_NOT_TO_PAYEE
 */
export async function checkOutputs(
  locks: Locks,
  sender: IdentityKey,
  recipients: IdentityKey[],
  { outputs }: VerifiedPayment,
  assigned: AssignedOutput[],
): Promise<Paid[]> {
  const paid: Paid[] = []
  for (const { payee, output } of assigned) {
    const named = parseOutput(output)
    const { satoshis, script } = outputs[named.outputIndex] ?? refuse(named, 'does not exist')
    if (paid.some(({ outputIndex }) => outputIndex === named.outputIndex))
      refuse(named, 'is named twice')
    const parties =
      payee === 'server' ? locks.toServer(sender) : locks.toRecipient(recipients[payee]!)
    await locks.check(named, Buffer.from(script), parties)
    paid.push({ ...named, payee, satoshis })
  }
  return paid
}

/**
 * Checks that each payee gets its price.
 * @throws ApiError ERR_INSUFFICIENT_PAYMENT
 */
export function checkDues(
  paid: Paid[],
  recipients: IdentityKey[],
  { deliveryFee, recipientFees }: Price,
): void {
  const dues = [
    ['server', deliveryFee] as const,
    ...recipientFees.map((fee, index) => [index, fee] as const),
  ]
  for (const [payee, due] of dues) {
    const satoshis = paid.reduce(
      (sum, output) => (output.payee === payee ? sum + output.satoshis : sum),
      0,
    )
    if (satoshis < due)
      throw new ApiError(
        'ERR_INSUFFICIENT_PAYMENT',
        `The payment pays ${payee === 'server' ? 'the server' : recipients[payee]!} ` +
          `${satoshis} of ${due} satoshis.`,
        { due, paid: satoshis },
      )
  }
}

function refuse({ outputIndex }: PaidOutput, reason: string): never {
  throw new ApiError('ERR_PAYMENT_NOT_TO_PAYEE', `Output ${outputIndex} ${reason}.`)
}
