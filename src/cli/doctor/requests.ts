import { SIGNATURE_MISMATCH } from '../../auth/brc103'
import { formatBytes } from '../../lib/format'
import { MIB } from '../../config/parsers'
import { foreign } from '../wording'
import type { Report } from './finding'
import type { Subject } from './check'
import type { Probe, ProbeRequest } from './probe'

/** The body that shows whether the proxy passes large bodies on. */
const LARGE_BODY_BYTES = 2 * MIB
const LARGE_BODY_TIMEOUT_MS = 5000

export const SEE = 'See "Behind nginx or Caddy" in DEPLOYING.md.'

/**
 * Each request adds one feature to the one before. A failure shows which feature the proxy breaks.
 */
export async function checkRequests(
  probe: Probe,
  base: string,
  { config }: Subject,
  report: Report,
): Promise<void> {
  const list = (padding: number): string =>
    `{ "messageBox" : "doctor", "padding": "${'.'.repeat(padding)}" }`
  const get: ProbeRequest = { method: 'GET', target: `${base}/permissions/list?limit=1` }
  const post: ProbeRequest = { method: 'POST', target: `${base}/listMessages`, body: list(0) }
  if (
    !(await passes(
      probe,
      get,
      report,
      'The proxy changes the path, the query or the method of requests: signatures fail.',
      'path-changed',
    ))
  )
    return
  if (
    !(await passes(
      probe,
      post,
      report,
      'The proxy changes the bodies of requests: signatures fail.',
      'body-changed',
    ))
  )
    return
  if (
    !(await passes(
      probe,
      { ...get, headers: { 'x-bsv-doctor': 'well' } },
      report,
      'The proxy removes or changes headers that begin with x-bsv-: signatures fail.',
      'headers-changed',
    ))
  )
    return
  report.ok('requests', 'Signed requests and answers pass unchanged.')
  const bytes = Math.min(LARGE_BODY_BYTES, config.http.maxBodyBytes)
  await checkLarge(probe, { ...post, body: list(bytes - list(0).length) }, bytes, report)
}

/** Sends a request and reports what is wrong. Returns whether it passed unchanged. */
async function passes(
  probe: Probe,
  request: ProbeRequest,
  report: Report,
  changed: string,
  code: string,
): Promise<boolean> {
  const { answer, seal } = await probe.request(request)
  const { status, json } = answer
  if (status === 200 && seal === 'valid') return true
  if (status === 200) {
    if (seal === 'missing')
      report.problem(
        'answer-headers-stripped',
        'The proxy removes the x-bsv-auth-* headers of answers: clients reject them.',
        `Let all x-bsv-* headers through, both ways. ${SEE}`,
      )
    else
      report.problem(
        'answer-changed',
        'The proxy changes answers: their signatures fail.',
        `Pass bodies, statuses and x-bsv-* headers on as they are. ${SEE}`,
      )
  } else if (status === 401 && json.code === 'UNAUTHORIZED') {
    const description = String(json.description)
    if (description.includes(SIGNATURE_MISMATCH))
      report.problem(code, changed, `Pass requests on unchanged. ${SEE}`)
    else
      report.problem(
        'headers-stripped',
        'The proxy removes the x-bsv-auth-* headers of requests: no client can authenticate. ' +
          `The server says: ${foreign(description)}`,
        `Let all x-bsv-* headers through, both ways. ${SEE}`,
      )
  } else if (status === 401 || status === 403) {
    report.problem(
      'proxy-authentication',
      `The proxy itself refuses a signed request (${status}).`,
      `Turn authentication at the proxy off: the server authenticates clients itself. ${SEE}`,
    )
  } else {
    report.problem(
      'request-failed',
      `The answer to a signed request is ${status}` +
        (typeof json.code === 'string'
          ? ` ${foreign(json.code)}: ${foreign(json.description)}.`
          : ', from the proxy.'),
      'Look at the logs of the server and of the proxy.',
    )
  }
  return false
}

async function checkLarge(
  probe: Probe,
  request: ProbeRequest,
  bytes: number,
  report: Report,
): Promise<void> {
  const result = await probe.request(request, LARGE_BODY_TIMEOUT_MS).catch((error: Error) => error)
  const advice = `Allow more than MAX_BODY_SIZE at the proxy (nginx: client_max_body_size). ${SEE}`
  if (result instanceof Error)
    report.warning(
      'large-body',
      `A body of ${formatBytes(bytes)} is not answered: ${result.message}.`,
      advice,
    )
  else if (result.answer.status !== 200 && result.seal === 'missing')
    report.problem(
      'large-body',
      `The proxy rejects a body of ${formatBytes(bytes)} (${result.answer.status}).`,
      advice,
    )
  else if (result.answer.status !== 200)
    report.warning(
      'large-body',
      `The server rejects a body of ${formatBytes(bytes)}: ${foreign(result.answer.json.code)}.`,
      'The server runs with a MAX_BODY_SIZE other than the one in these settings.',
    )
  else report.ok('large-body', `A body of ${formatBytes(bytes)} passes.`)
}
