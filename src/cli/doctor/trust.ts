import { randomUUID } from 'node:crypto'
import type { Report } from './finding'
import type { Subject } from './check'
import { SEE } from './requests'
import { ask } from './web'

interface Echo {
  sent: string
  received: string | null
}

/** Shows whether the server trusts the proxy: it accepts a request id from a trusted proxy only. */
async function askWithId(origin: string, base: string): Promise<Echo> {
  const sent = `doctor-${randomUUID()}`
  const { headers } = await ask(`${origin}${base}/health`, { headers: { 'x-request-id': sent } })
  return { sent, received: headers.get('x-request-id') }
}

/** The form of the ids that the server makes itself. */
const OWN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/

export async function checkTrust(
  { url, config }: Subject,
  origin: string,
  base: string,
  report: Report,
): Promise<void> {
  const { sent, received } = await askWithId(origin, base)
  const { protocol, port } = new URL(url!)
  const { trustProxy } = config.http
  // The server itself speaks plain HTTP, on its own port.
  const isProxied = protocol === 'https:' || Number(port === '' ? 80 : port) !== config.http.port
  if (isProxied && trustProxy === 0) {
    report.warning(
      'proxy-not-trusted',
      'TRUST_PROXY is not set, and there is a proxy: ' +
        'all clients count as one address, and share its rate limit.',
      `Set TRUST_PROXY=1, or to the number of proxies. ${SEE}`,
    )
  } else if (isProxied && received !== sent && OWN_ID.test(received ?? '')) {
    report.warning(
      'proxy-not-believed',
      'TRUST_PROXY is set, but the server does not trust this proxy: its address may differ.',
      'Compare TRUST_PROXY with the address that the proxy connects from. ' +
        'This is also found if the proxy replaces the ids of requests.',
    )
  } else if (!isProxied && trustProxy !== 0) {
    report.warning(
      'trusts-anybody',
      'TRUST_PROXY is set, but there is no proxy in front: clients can forge their address.',
      'Put the proxy in front, or remove TRUST_PROXY.',
    )
  }
}
