import type { Secret } from '../lib/secret'
import { ApiError } from '../contract/errors'
import { asFields } from '../contract/primitives'
import { fetchJson } from '../lib/fetchJson'

/** How long the network may take to answer, and how much it may say. */
const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 64 * 1024
/** States of a transaction that will not be mined, as ARC names them; it may answer 200 with them. */
const REJECTED = new Set([
  'DOUBLE_SPEND_ATTEMPTED',
  'REJECTED',
  'INVALID',
  'MALFORMED',
  'MINED_IN_STALE_BLOCK',
])
/** States in which ARC has the transaction, and the network has yet to hear of it. */
const PENDING = new Set(['UNKNOWN', 'QUEUED', 'RECEIVED'])
/** Statuses by which ARC says that the transaction is at fault: the rest is about who asks, how often, or ARC itself. */
const AT_FAULT = (status: number): boolean =>
  status === 400 || status === 409 || status === 422 || (status >= 460 && status < 500)

interface ArcAnswer {
  txid?: string
  txStatus?: string
  extraInfo?: string
  detail?: string
  title?: string
}

/** Sends transactions to the network, by ARC. */
export class ArcBroadcaster {
  constructor(
    private readonly arcUrl: string,
    private readonly apiKey: Secret | undefined,
  ) {}

  /**
   * Has a transaction accepted; one that the network knows already is accepted again.
   * @param txid the transaction's id
   * @param extended in BRC-30's extended format, in hex
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
    // Whatever does not speak of this very transaction is no answer of an ARC's.
    const isAbout = answer.txid === txid || (answer.txid === undefined && state !== undefined)
    if (stands && (!isAbout || PENDING.has(state ?? '')))
      throw unavailable(
        `ARC has not passed the transaction on: ${reason === '' ? 'it does not say what became of it' : reason}`,
      )
    if (stands && /orphan/i.test(reason))
      throw unavailable(`ARC has not seen what the payment spends yet: ${reason}`)
    if (stands && !REJECTED.has(state ?? '')) return
    if (stands || AT_FAULT(status))
      throw new ApiError(
        'ERR_PAYMENT_REJECTED',
        `The network does not accept the payment: ${reason === '' ? `it answered ${status}` : reason}.`,
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
        timeoutMs: TIMEOUT_MS,
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
    { fault: { what: 'a payment could not be broadcast', reason } },
  )
}
