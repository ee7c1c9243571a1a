/** Checks the public address: whether this server answers, and whether messages pass unchanged. */
import { isIP } from 'node:net'
import { asFields } from '../../contract/primitives'
import { address, foreign } from '../wording'
import { compareClock } from './clock'
import type { Report } from './finding'
import type { Subject } from './check'
import { Probe } from './probe'
import { checkRequests, SEE } from './requests'
import { identityOf } from './settings'
import { checkTrust } from './trust'
import { tryToUpgrade } from './upgrade'
import { ask, type Answer } from './web'

export async function checkProxy(subject: Subject, report: Report): Promise<void> {
  const { url, config } = subject
  if (url === undefined)
    return report.ok(
      'no-address',
      'HOSTING_DOMAIN is not set: no public address was checked. Name one with --url.',
    )
  const { origin, protocol, hostname, pathname } = new URL(url)
  const { prefix } = config.http
  const path = pathname.replace(/\/+$/, '')
  const base = path.endsWith(prefix) ? path : `${path}${prefix}`
  if (protocol === 'http:' && !isLocal(hostname))
    report.warning(
      'no-tls',
      `${address(url)} is not served over TLS: requests are signed, not encrypted.`,
      'Put a TLS proxy in front, and name the https:// address in HOSTING_DOMAIN.',
    )
  const info = await findServer(origin, base, report)
  if (info === undefined) return
  compareIdentity(subject, info, report)
  const date = Date.parse(info.headers.get('date') ?? '')
  // A Date header has whole seconds: the time is up to 999 ms later.
  if (!Number.isNaN(date))
    compareClock(`${hostname}'s`, date + 999, info.asked, info.answered + 999, report)
  checkCors(info, report)
  const probe = new Probe(origin)
  if (!(await checkHandshake(probe, origin, report))) return
  await checkRequests(probe, base, subject, report)
  await checkTrust(subject, origin, base, report)
  if (asFields(info.json.features)?.live === true) await checkUpgrade(origin, report)
}

function isLocal(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname === '[::1]' ||
    (isIP(hostname) === 4 && /^(127|10|192\.168)\./.test(hostname))
  )
}

/** @returns the answer of /info, or undefined if no MessageBox server answers */
async function findServer(
  origin: string,
  base: string,
  report: Report,
): Promise<Answer | undefined> {
  let health: Answer
  try {
    health = await ask(`${origin}${base}/health`)
  } catch (error) {
    report.problem(
      'unreachable',
      `The doctor cannot reach ${origin}: ${(error as Error).message}.`,
      'Correct HOSTING_DOMAIN, DNS, the proxy or its certificate. If a private network ' +
        'does not reach its public address, run the doctor outside of it, with --url.',
    )
    return undefined
  }
  if (health.status >= 300 && health.status < 400) {
    report.problem(
      'redirect',
      `${origin}${base}/health redirects to ` +
        `${foreign(health.headers.get('location') ?? 'another address')}: ` +
        'clients do not follow redirects with a signed request.',
      'Name the address that it redirects to in HOSTING_DOMAIN.',
    )
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

function describeStranger(where: string, { status, json }: Answer): [string, string, string] {
  if (json.status === 'error' && typeof json.code === 'string') {
    return [
      'wrong-prefix',
      `A MessageBox server answers, but not at ${where}: ${foreign(json.code)}.`,
      `Pass the path on as it came, and set ROUTING_PREFIX as the server has it. ${SEE}`,
    ]
  }
  if (status === 502 || status === 503 || status === 504)
    return [
      'proxy-without-server',
      `The proxy answers ${status} at ${where}: it does not reach the server.`,
      'Start the server, or correct the address and port that the proxy passes requests on to.',
    ]
  return [
    'other-server',
    `The server at ${where} is not a MessageBox server (${status}).`,
    `Correct HOSTING_DOMAIN or ROUTING_PREFIX, or have the proxy pass this path on. ${SEE}`,
  ]
}

function compareIdentity(subject: Subject, { json }: Answer, report: Report): void {
  const identityKey = identityOf(subject)
  if (identityKey === undefined) return
  if (json.identityKey === identityKey)
    report.ok('address', `This server answers at ${address(subject.url!)}.`)
  else
    report.problem(
      'other-identity',
      `Another MessageBox server answers at ${address(subject.url!)}: ` +
        `its identity key is ${foreign(json.identityKey)}.`,
      'Correct HOSTING_DOMAIN or the target of the proxy, ' +
        "or run the doctor with that server's settings.",
    )
}

function checkCors({ headers }: Answer, report: Report): void {
  const origins = headers.get('access-control-allow-origin')
  if (origins === null)
    report.problem(
      'cors',
      'The proxy removes the CORS headers: browsers reject every answer.',
      `Let them through. ${SEE}`,
    )
  else if (origins !== '*')
    report.problem(
      'cors',
      `The proxy adds CORS headers of its own (${foreign(origins)}): ` +
        'browsers reject answers with two sets.',
      `Let only the server set them. ${SEE}`,
    )
}

async function checkHandshake(probe: Probe, origin: string, report: Report): Promise<boolean> {
  const { answer, seal } = await probe.handshake()
  if (seal === 'valid') {
    report.ok('handshake', `The handshake at ${origin}/.well-known/auth succeeds.`)
    return true
  }
  if (seal === 'broken')
    report.problem(
      'handshake-changed',
      'The signature of the handshake is invalid: the proxy changed it.',
      `Pass bodies on as they are. ${SEE}`,
    )
  else
    report.problem(
      'no-handshake',
      `The handshake at ${origin}/.well-known/auth fails (${answer.status}` +
        (typeof answer.json.code === 'string' ? ` ${foreign(answer.json.code)}` : '') +
        '): no client can authenticate.',
      'Have the proxy pass /.well-known/auth on at the root of the host, ' +
        `with or without ROUTING_PREFIX. ${SEE}`,
    )
  return false
}

async function checkUpgrade(origin: string, report: Report): Promise<void> {
  const fault = await tryToUpgrade(origin)
  if (fault === undefined) report.ok('websocket', 'A WebSocket opens.')
  else
    report.problem(
      'no-websocket',
      `A WebSocket does not open: ${fault}. Live messages need it.`,
      `Pass upgrades on, below /socket.io. ${SEE}`,
    )
}
