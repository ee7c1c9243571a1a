/** Submissions to the topic: the named topics, the BEEF, and its effect. */
import type { IncomingHttpHeaders } from 'node:http'
import type { AdvertisementStore, Submission } from '../db/advertisements'
import { ApiError } from '../contract/errors'
import { MAX_ADVERTISED, MAX_HOSTS, MAX_OF_HOST, OVERLAY_TOPIC } from '../contract/protocol'
import type { TransactionVerifier } from '../spv/verifier'
import type { Spend, VerifiedSubmission } from '../spv/verify'
import { isCandidate, judge } from './advertisement'
import { readVarint } from '../lib/varint'

/** Limits a transaction with its ancestors, which the server stores and sends in lookups. */
export const MAX_STORED_BYTES = 64 * 1024

/** The effect by topic: the "submitted transaction execution acknowledgment" of BRC-22. */
export type Steak = Record<
  string,
  { outputsToAdmit: number[]; coinsToRetain: number[]; coinsRemoved: number[] }
>

/** @throws ApiError ERR_UNKNOWN_TOPIC unless the header names only this server's topic */
export function checkTopics(header: string | string[] | undefined): void {
  const topics = parseTopics(String(header ?? '').trim())
  if (topics.length === 0 || topics.some((topic) => topic !== OVERLAY_TOPIC))
    throw new ApiError('ERR_UNKNOWN_TOPIC')
}

/**
 * Reads the BEEF of a body. Ignores off-chain values after it.
 * @throws ApiError ERR_INVALID_TRANSACTION
 */
export function takeBeef(body: Buffer, headers: IncomingHttpHeaders): Buffer {
  if (headers['x-includes-off-chain-values'] !== 'true') return body
  const length = readVarint(body)
  if (length === undefined || length.end + length.value > body.length)
    throw new ApiError(
      'ERR_INVALID_TRANSACTION',
      'The body does not begin with the length of its BEEF.',
    )
  return body.subarray(length.end, length.end + length.value)
}

export interface SubmissionParts {
  verifier: TransactionVerifier<'submission'>
  store: AdvertisementStore
}

/**
 * Admits a transaction's advertisements and removes those that it spends.
 * @param owner the address of the client. Verification takes the addresses in turn
 * @throws ApiError ERR_INVALID_TRANSACTION, ERR_PROOFS_UNAVAILABLE, ERR_INVALID_ADVERTISEMENT,
 * ERR_ADVERTISEMENT_SPENT, ERR_TOO_MANY_ADVERTISEMENTS, ERR_SERVER_BUSY
 */
export async function submitTransaction(
  { verifier, store }: SubmissionParts,
  owner: string,
  beef: Buffer,
): Promise<Steak> {
  const verdict = await verifier.verify(owner, beef)
  if ('invalid' in verdict)
    throw new ApiError(
      'ERR_INVALID_TRANSACTION',
      `The transaction is not valid: ${verdict.invalid}.`,
    )
  if ('unavailable' in verdict)
    throw new ApiError(
      'ERR_PROOFS_UNAVAILABLE',
      undefined,
      {},
      {
        fault: {
          what: 'the server could not check a submitted transaction',
          reason: verdict.unavailable,
        },
      },
    )
  const { verified } = verdict
  const { submission, reasons } = toSubmission(verified)
  const admission = await store.admit(submission)
  if ('full' in admission)
    throw tooMany(`${admission.full} is advertised at ${MAX_HOSTS} other hosts already.`, MAX_HOSTS)
  if ('conflict' in admission)
    throw spent(
      `${admission.conflict.txid}.${admission.conflict.outputIndex}`,
      ` by ${admission.conflict.spentBy!}`,
    )
  const own = verified.spends.slice(0, verified.inputs)
  const isRemoved = ({ txid, outputIndex }: Spend): boolean =>
    admission.removed.some((output) => output.txid === txid && output.outputIndex === outputIndex)
  const coinsRemoved = own.flatMap((spend, input) => (isRemoved(spend) ? [input] : []))
  if (admission.admitted.length === 0 && coinsRemoved.length === 0) {
    if (admission.spent.length > 0) throw spent(`${verified.txid}.${admission.spent[0]!}`)
    if (admission.replaced.length > 0)
      throw tooMany(
        `${MAX_OF_HOST} other advertisements of this host by this identity stand.`,
        MAX_OF_HOST,
      )
    throw new ApiError('ERR_INVALID_ADVERTISEMENT', reasons[0])
  }
  return {
    [OVERLAY_TOPIC]: { outputsToAdmit: admission.admitted, coinsToRetain: [], coinsRemoved },
  }
}

/** @returns `reasons`: why outputs with the form of an advertisement are not valid */
function toSubmission({ txid, outputs, spends, proven, beef }: VerifiedSubmission): {
  submission: Submission
  reasons: string[]
} {
  const scripts = outputs.map((script) => Buffer.from(script))
  if (scripts.filter(isCandidate).length > MAX_ADVERTISED)
    throw tooMany(`A transaction may have up to ${MAX_ADVERTISED} advertisements.`, MAX_ADVERTISED)
  const advertisements: Submission['advertisements'] = []
  const reasons: string[] = []
  for (const [outputIndex, script] of scripts.entries()) {
    const judged = judge(script)
    if (judged === undefined) continue
    if ('reason' in judged)
      reasons.push(`Output ${outputIndex} is not an advertisement: ${judged.reason}.`)
    else advertisements.push({ ...judged.advertised, txid, outputIndex })
  }
  if (advertisements.length > 0 && beef.length > MAX_STORED_BYTES) {
    throw new ApiError(
      'ERR_INVALID_TRANSACTION',
      'The transaction is too large: its BEEF, with ancestors and proofs, has ' +
        `${beef.length} bytes. The limit is ${MAX_STORED_BYTES} bytes.`,
      { limit: MAX_STORED_BYTES },
    )
  }
  return { submission: { txid, beef: Buffer.from(beef), proven, advertisements, spends }, reasons }
}

function tooMany(description: string, limit: number): ApiError {
  return new ApiError('ERR_TOO_MANY_ADVERTISEMENTS', description, { limit })
}

function spent(outpoint: string, by = ''): ApiError {
  return new ApiError(
    'ERR_ADVERTISEMENT_SPENT',
    `The advertisement ${outpoint} was already spent${by}.`,
  )
}

/** Each header is a JSON array or, from newer clients, a list of names separated by commas. */
function parseTopics(header: string): unknown[] {
  try {
    return (JSON.parse(`[${header}]`) as unknown[]).flat()
  } catch {
    return header
      .split(',')
      .map((topic) => topic.trim())
      .filter((topic) => topic !== '')
  }
}
