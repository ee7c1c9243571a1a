import type { Secret } from '../lib/secret'
import { ApiError } from '../contract/errors'
import { asFields } from '../contract/primitives'
import { fetchJson } from '../lib/fetchJson'

const ARC_TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 64 * 1024
/** ARC's states of a transaction that will not be mined. ARC may answer 200 with them. */
const REJECTED = new Set([
  'DOUBLE_SPEND_ATTEMPTED',
  'REJECTED',
  'INVALID',
  'MALFORMED',
  'MINED_IN_STALE_BLOCK',
])
/** States in which ARC has the transaction but the network does not. */
const PENDING = new Set(['UNKNOWN', 'QUEUED', 'RECEIVED'])
/** Whether a status rejects the transaction. Others are about the request, its rate, or ARC. */
const AT_FAULT = (status: number): boolean =>
  status === 400 || status === 409 || status === 422 || (status >= 460 && status < 500)

interface ArcAnswer {
  txid?: string
  txStatus?: string
  extraInfo?: string
  detail?: string
  title?: string
}

export class ArcBroadcaster {
  constructor(
    private readonly arcUrl: string,
    private readonly apiKey: Secret | undefined,
  ) {}

  /**
   * Broadcasts a transaction. Succeeds if the network has it already.
   * @param extended the transaction in extended format (BRC-30), in hex
   * @throws ApiError ERR_PAYMENT_REJECTED, ERR_PAYMENTS_UNAVAILABLE
   */
  async broadcast(txid: string, extended: string): Promise<void> {
    const { status, answer } = await this.#post(extended)
    const reason = [answer.txStatus, answer.extraInfo ?? answer.detail ?? answer.title]
      .filter(Boolean)
      .join(': ')
      .slice(0, 300)
    const stands = status >= 200 && status < 300
    const state = typeof answer.txStatus === 'string' ? answer.txStatus.toUpperCase() : undefined
    // An answer without this transaction's id does not come from an ARC.
    const isAbout = answer.txid === txid || (answer.txid === undefined && state !== undefined)
    if (stands && (!isAbout || PENDING.has(state ?? '')))
      throw unavailable(
        `ARC has not broadcast the transaction: ${reason === '' ? 'it gives no state' : reason}`,
      )
    if (stands && /orphan/i.test(reason))
      throw unavailable(`ARC does not know the outputs that the payment spends yet: ${reason}`)
    if (stands && !REJECTED.has(state ?? '')) return
    if (stands || AT_FAULT(status))
      throw new ApiError(
        'ERR_PAYMENT_REJECTED',
        `The network rejects the payment: ${reason === '' ? `ARC answered ${status}` : reason}.`,
      )
    throw unavailable(`ARC answered ${status}`)
  }

  async #post(rawTx: string): Promise<{ status: number; answer: ArcAnswer }> {
    try {
      const { status, body } = await fetchJson(`${this.arcUrl}/v1/tx`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(this.apiKey !== undefined && { authorization: `Bearer ${this.apiKey.reveal()}` }),
        },
        body: JSON.stringify({ rawTx }),
        timeoutMs: ARC_TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
      })
      return { status, answer: (asFields(body) ?? {}) as ArcAnswer }
    } catch (error) {
      throw unavailable(`ARC does not answer: ${(error as Error).message}`)
    }
  }
}

function unavailable(reason: string): ApiError {
  return new ApiError(
    'ERR_PAYMENTS_UNAVAILABLE',
    undefined,
    {},
    { fault: { what: 'the server could not broadcast a payment', reason } },
  )
}
