import { formatBytes } from '../../lib/format'
import { MIB } from '../../config/parsers'
import { foreign } from '../wording'
import type { Report } from './finding'
import type { Subject } from './check'
import type { Probe, ProbeRequest } from './probe'

/** How large a body the proxy is tried with, in bytes, and how long that may take, in milliseconds. */
const LARGE = 2 * MIB
const LARGE_TIMEOUT = 5000

export const SEE = 'See "Behind nginx or Caddy" in DEPLOYING.md.'

/** Requests that each add one thing: where one fails and those before it did not, that thing is at fault. */
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
      'The proxy changes the path, the search or the method of requests: signatures do not hold.',
      'path-changed',
    ))
  )
    return
  if (
    !(await passes(
      probe,
      post,
      report,
      'The proxy changes the bodies of requests: signatures do not hold.',
      'body-changed',
    ))
  )
    return
  if (
    !(await passes(
      probe,
      { ...get, headers: { 'x-bsv-doctor': 'well' } },
      report,
      'The proxy removes or changes headers that begin with x-bsv-: signatures do not hold.',
      'headers-changed',
    ))
  )
    return
  report.ok('requests', 'Signed requests and answers pass unchanged.')
  const bytes = Math.min(LARGE, config.http.maxBodyBytes)
  await checkLarge(probe, { ...post, body: list(bytes - list(0).length) }, bytes, report)
}

/** Sends a request, and reports what is wrong with it. */
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
        'The proxy removes the x-bsv-auth-* headers of answers: no client believes them.',
        `Let all x-bsv-* headers through, both ways. ${SEE}`,
      )
    else
      report.problem(
        'answer-changed',
        'The proxy changes answers: their signatures do not hold.',
        `Pass bodies, statuses and x-bsv-* headers on as they are. ${SEE}`,
      )
  } else if (status === 401 && json.code === 'UNAUTHORIZED') {
    const description = String(json.description)
    if (/signature does not belong/.test(description))
      report.problem(code, changed, `Pass requests on as they came. ${SEE}`)
    else
      report.problem(
        'headers-stripped',
        `The proxy removes the x-bsv-auth-* headers of requests: nobody can authenticate. The server says: ${foreign(description)}`,
        `Let all x-bsv-* headers through, both ways. ${SEE}`,
      )
  } else if (status === 401 || status === 403) {
    report.problem(
      'proxy-authentication',
      `The proxy itself refuses a signed request (${status}).`,
      `Let the server decide who may ask: authentication at the proxy does not work with it. ${SEE}`,
    )
  } else {
    report.problem(
      'request-failed',
      `A signed request is answered with ${status}${typeof json.code === 'string' ? ` ${foreign(json.code)}: ${foreign(json.description)}` : ', by the proxy'}.`,
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
  const result = await probe.request(request, LARGE_TIMEOUT).catch((error: Error) => error)
  const advice = `Allow more than MAX_BODY_SIZE at the proxy (client_max_body_size in nginx). ${SEE}`
  if (result instanceof Error)
    report.warning(
      'large-body',
      `A body of ${formatBytes(bytes)} is not answered: ${result.message}.`,
      advice,
    )
  else if (result.answer.status !== 200 && result.seal === 'missing')
    report.problem(
      'large-body',
      `The proxy refuses a body of ${formatBytes(bytes)} (${result.answer.status}), and its answer is not signed.`,
      advice,
    )
  else if (result.answer.status !== 200)
    report.warning(
      'large-body',
      `The server refuses a body of ${formatBytes(bytes)}: ${foreign(result.answer.json.code)}.`,
      'It runs with another MAX_BODY_SIZE than these settings have.',
    )
  else report.ok('large-body', `A body of ${formatBytes(bytes)} passes.`)
}
