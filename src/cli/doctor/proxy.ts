/** What a client meets at the public address: whether the server behind it is ours, and whether all that is signed arrives as it left. */
import { randomUUID } from 'node:crypto'
import { isIP } from 'node:net'
import { size } from '../wording'
import { MIB } from '../../settings'
import { compareClock } from './clock'
import type { Report } from './finding'
import type { Patient } from './index'
import { Probe, type ProbeRequest } from './probe'
import { identityOf } from './settings'
import { tryToUpgrade } from './upgrade'
import { ask, type Answer } from './web'

/** How large a body the proxy is tried with, in bytes, and how long that may take, in milliseconds. */
const LARGE = 2 * MIB
const LARGE_TIMEOUT = 5000

const SEE = 'See "Behind nginx or Caddy" in DEPLOYING.md.'

export async function checkProxy (patient: Patient, report: Report): Promise<void> {
  const { url, config } = patient
  if (url === undefined) return report.ok('no-address', 'HOSTING_DOMAIN is not set: no public address was looked at. "--url" names one.')
  const { origin, protocol, hostname, pathname } = new URL(url)
  const { prefix } = config.http
  const path = pathname.replace(/\/+$/, '')
  const base = path.endsWith(prefix) ? path : `${path}${prefix}`
  if (protocol === 'http:' && !isLocal(hostname)) report.warning('no-tls', `${url} is not served over TLS: requests are signed, not encrypted.`, 'Put a TLS proxy in front, and name the https:// address in HOSTING_DOMAIN.')
  const info = await findServer(origin, base, report)
  if (info === undefined) return
  compareIdentity(patient, info, report)
  const date = Date.parse(info.headers.get('date') ?? '')
  // It has whole seconds: what it names lasts until the next one.
  if (!Number.isNaN(date)) compareClock(`${hostname}'s`, date + 999, info.asked, info.answered + 999, report)
  checkCors(info, report)
  const probe = new Probe(origin)
  if (!await checkHandshake(probe, origin, report)) return
  await checkRequests(probe, base, patient, report)
  checkTrust(patient, await askWithId(origin, base), report)
  if (Object(info.json.features).live === true) await checkUpgrade(origin, report)
}

function isLocal (hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && /^(127|10|192\.168)\./.test(hostname))
}

/** The answer of /info; undefined where this server does not answer at all. */
async function findServer (origin: string, base: string, report: Report): Promise<Answer | undefined> {
  let health: Answer
  try {
    health = await ask(`${origin}${base}/health`)
  } catch (error) {
    report.problem('unreachable', `Nothing can be reached at ${origin}: ${(error as Error).message}.`, 'Correct HOSTING_DOMAIN, DNS, the proxy or its certificate. From inside a private network the public address may not be reachable: try from outside, with --url.')
    return undefined
  }
  if (health.status >= 300 && health.status < 400) {
    report.problem('redirect', `${origin}${base}/health redirects to ${health.headers.get('location') ?? 'somewhere else'}: clients do not follow with a signed request.`, 'Name the address that it redirects to in HOSTING_DOMAIN.')
    return undefined
  }
  if (health.status !== 200 || health.json.status !== 'ok') {
    report.problem(...describeStranger(`${origin}${base}/health`, health))
    return undefined
  }
  const info = await ask(`${origin}${base}/info`)
  if (info.status === 200 && typeof info.json.identityKey === 'string') return info
  report.problem(...describeStranger(`${origin}${base}/info`, info))
  return undefined
}

function describeStranger (address: string, { status, json }: Answer): [string, string, string] {
  if (json.status === 'error' && typeof json.code === 'string') {
    return ['wrong-prefix', `A MessageBox server answers, but not at ${address}: ${json.code}.`, `Pass the path on as it came, and set ROUTING_PREFIX as the server has it. ${SEE}`]
  }
  if (status === 502 || status === 503 || status === 504) return ['proxy-without-server', `The proxy answers ${status} at ${address}: it does not reach the server.`, 'Start the server, or correct the address and port that the proxy passes requests on to.']
  return ['other-server', `Something else than a MessageBox server answers at ${address} (${status}).`, `Correct HOSTING_DOMAIN or ROUTING_PREFIX, or have the proxy pass this path on. ${SEE}`]
}

function compareIdentity (patient: Patient, { json }: Answer, report: Report): void {
  const identityKey = identityOf(patient)
  if (identityKey === undefined) return
  if (json.identityKey === identityKey) report.ok('address', `This server answers at ${patient.url!}.`)
  else report.problem('other-identity', `Another MessageBox server answers at ${patient.url!}: its identity key is ${String(json.identityKey)}.`, 'Correct HOSTING_DOMAIN or where the proxy passes requests on to, or run the doctor with that server\'s own settings.')
}

function checkCors ({ headers }: Answer, report: Report): void {
  const origins = headers.get('access-control-allow-origin')
  if (origins === null) report.problem('cors', 'The proxy removes the CORS headers: browsers refuse every answer.', `Let them through. ${SEE}`)
  else if (origins !== '*') report.problem('cors', `The proxy adds CORS headers of its own (${origins}): browsers refuse answers with two sets.`, `Let the server set them alone. ${SEE}`)
}

async function checkHandshake (probe: Probe, origin: string, report: Report): Promise<boolean> {
  const { answer, seal } = await probe.handshake()
  if (seal === 'valid') {
    report.ok('handshake', `The handshake at ${origin}/.well-known/auth succeeds.`)
    return true
  }
  if (seal === 'broken') report.problem('handshake-changed', 'The handshake does not hold: what the proxy passed on is not what was sent.', `Pass bodies on as they are. ${SEE}`)
  else report.problem('no-handshake', `The handshake at ${origin}/.well-known/auth fails (${answer.status}${typeof answer.json.code === 'string' ? ` ${answer.json.code}` : ''}): nobody can authenticate.`, `Have the proxy pass /.well-known/auth on, at the root of the host, whatever ROUTING_PREFIX is. ${SEE}`)
  return false
}

/** Requests that each add one thing: where one fails and those before it did not, that thing is at fault. */
async function checkRequests (probe: Probe, base: string, { config }: Patient, report: Report): Promise<void> {
  const list = (padding: number): string => `{ "messageBox" : "doctor", "padding": "${'.'.repeat(padding)}" }`
  const get: ProbeRequest = { method: 'GET', target: `${base}/permissions/list?limit=1` }
  const post: ProbeRequest = { method: 'POST', target: `${base}/listMessages`, body: list(0) }
  if (!await passes(probe, get, report, 'The proxy changes the path, the search or the method of requests: signatures do not hold.', 'path-changed')) return
  if (!await passes(probe, post, report, 'The proxy changes the bodies of requests: signatures do not hold.', 'body-changed')) return
  if (!await passes(probe, { ...get, headers: { 'x-bsv-doctor': 'well' } }, report, 'The proxy removes or changes headers that begin with x-bsv-: signatures do not hold.', 'headers-changed')) return
  report.ok('requests', 'Signed requests and answers pass unchanged.')
  const bytes = Math.min(LARGE, config.http.maxBodyBytes)
  await checkLarge(probe, { ...post, body: list(bytes - list(0).length) }, bytes, report)
}

/** Sends a request, and reports what is wrong with it. */
async function passes (probe: Probe, request: ProbeRequest, report: Report, changed: string, code: string): Promise<boolean> {
  const { answer, seal } = await probe.request(request)
  const { status, json } = answer
  if (status === 200 && seal === 'valid') return true
  if (status === 200) {
    if (seal === 'missing') report.problem('answer-headers-stripped', 'The proxy removes the x-bsv-auth-* headers of answers: no client believes them.', `Let all x-bsv-* headers through, both ways. ${SEE}`)
    else report.problem('answer-changed', 'The proxy changes answers: their signatures do not hold.', `Pass bodies, statuses and x-bsv-* headers on as they are. ${SEE}`)
  } else if (status === 401 && json.code === 'UNAUTHORIZED') {
    const description = String(json.description)
    if (/signature does not belong/.test(description)) report.problem(code, changed, `Pass requests on as they came. ${SEE}`)
    else report.problem('headers-stripped', `The proxy removes the x-bsv-auth-* headers of requests: nobody can authenticate. The server says: ${description}`, `Let all x-bsv-* headers through, both ways. ${SEE}`)
  } else if (status === 401 || status === 403) {
    report.problem('proxy-authentication', `The proxy itself refuses a signed request (${status}).`, `Let the server decide who may ask: authentication at the proxy does not work with it. ${SEE}`)
  } else {
    report.problem('request-failed', `A signed request is answered with ${status}${typeof json.code === 'string' ? ` ${json.code}: ${String(json.description)}` : ', by the proxy'}.`, 'Look at the logs of the server and of the proxy.')
  }
  return false
}

async function checkLarge (probe: Probe, request: ProbeRequest, bytes: number, report: Report): Promise<void> {
  const result = await probe.request(request, LARGE_TIMEOUT).catch((error: Error) => error)
  const advice = `Allow more than MAX_BODY_SIZE at the proxy (client_max_body_size in nginx). ${SEE}`
  if (result instanceof Error) report.warning('large-body', `A body of ${size(bytes)} is not answered: ${result.message}.`, advice)
  else if (result.answer.status !== 200 && result.seal === 'missing') report.problem('large-body', `The proxy refuses a body of ${size(bytes)} (${result.answer.status}), and its answer is not signed.`, advice)
  else if (result.answer.status !== 200) report.warning('large-body', `The server refuses a body of ${size(bytes)}: ${String(result.answer.json.code)}.`, 'It runs with another MAX_BODY_SIZE than these settings have.')
  else report.ok('large-body', `A body of ${size(bytes)} passes.`)
}

interface Echo { sent: string, received: string | null }

/** The server takes over the id of a request from a proxy that it believes, and from nobody else. */
async function askWithId (origin: string, base: string): Promise<Echo> {
  const sent = `doctor-${randomUUID()}`
  const { headers } = await ask(`${origin}${base}/health`, { headers: { 'x-request-id': sent } })
  return { sent, received: headers.get('x-request-id') }
}

/** What the server makes up itself where it believes nobody. */
const OWN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/

function checkTrust ({ url, config }: Patient, { sent, received }: Echo, report: Report): void {
  const { protocol, port } = new URL(url!)
  const { trustProxy } = config.http
  // The server itself speaks plain HTTP, on its own port.
  const isProxied = protocol === 'https:' || Number(port === '' ? 80 : port) !== config.http.port
  if (isProxied && trustProxy === 0) {
    report.warning('proxy-not-trusted', 'TRUST_PROXY is not set, and there is a proxy: all clients count as one address, and share its rate.', `Set TRUST_PROXY=1, or to the number of proxies. ${SEE}`)
  } else if (isProxied && received !== sent && OWN_ID.test(received ?? '')) {
    report.warning('proxy-not-believed', 'TRUST_PROXY is set, but the server does not seem to believe this proxy: it may have another address.', 'Compare TRUST_PROXY with the address that the proxy connects from. A proxy that gives requests ids of its own explains it, too.')
  } else if (!isProxied && trustProxy !== 0) {
    report.warning('trusts-anybody', 'TRUST_PROXY is set, but there is no proxy in front: clients can make up the address they count as.', 'Put the proxy in front, or remove TRUST_PROXY.')
  }
}

async function checkUpgrade (origin: string, report: Report): Promise<void> {
  const fault = await tryToUpgrade(origin)
  if (fault === undefined) report.ok('websocket', 'A WebSocket opens.')
  else report.problem('no-websocket', `A WebSocket does not open: ${fault}. Live messages need it.`, `Pass upgrades on, below /socket.io. ${SEE}`)
}
