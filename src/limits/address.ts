import type { IncomingMessage } from 'node:http'
import { isIPv4, isIPv6, type Socket } from 'node:net'
import proxyAddr from 'proxy-addr'
import type { TrustProxy } from '../config/parsers'

const V4_MAPPED = '::ffff:'

type Trust = (address: string, hop: number) => boolean

export class ClientAddress {
  readonly #trust: Trust

  constructor(trustProxy: TrustProxy) {
    // proxy-addr counts the connection as 0, then the addresses of X-Forwarded-For backwards.
    this.#trust =
      typeof trustProxy === 'number'
        ? (_address, hop) => hop < trustProxy
        : proxyAddr.compile(trustProxy)
  }

  /** The address a request is limited by: the nearest one that is not a trusted proxy. */
  of(req: IncomingMessage): string {
    return rateKey(this.isProxied(req) ? proxyAddr(req, this.#trust) : req.socket.remoteAddress)
  }

  /** Whether a request comes from a trusted proxy. */
  isProxied({ socket }: { socket: Socket }): boolean {
    return socket.remoteAddress !== undefined && this.#trust(socket.remoteAddress, 0)
  }

  /** The address a connection is limited by; undefined for a trusted proxy. */
  ofConnection(socket: Socket): string | undefined {
    return this.isProxied({ socket }) ? undefined : rateKey(socket.remoteAddress)
  }
}

/**
 * The key an address is counted under: an IPv4 address, or the /64 network of an IPv6 address,
 * since one customer has all of it. Anything else, which a proxy may write, is "unknown".
 */
export function rateKey(address = ''): string {
  // Most addresses are these: the operating system writes an IPv4 address in one way or the other.
  if (isIPv4(address)) return address
  if (address.startsWith(V4_MAPPED) && isIPv4(address.slice(V4_MAPPED.length)))
    return address.slice(V4_MAPPED.length)
  // Some proxies add the port: 192.0.2.1:443, [2001:db8::1]:443.
  const bare =
    /^\[([^\]]+)\](:\d+)?$/.exec(address)?.[1] ??
    /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address)?.[1] ??
    address
  const v4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare
  if (isIPv4(v4)) return v4
  return isIPv6(bare) ? `${expand(bare).slice(0, 4).join(':')}::/64` : 'unknown'
}

/** The eight groups of an IPv6 address. */
function expand(address: string): string[] {
  const [head = '', tail] = address.split('%')[0]!.toLowerCase().split('::')
  const groups = (text: string): string[] =>
    text === '' ? [] : text.split(':').map((group) => group.replace(/^0+(?=.)/, ''))
  if (tail === undefined) return groups(head)
  const [first, last] = [groups(head), groups(tail)]
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => '0'), ...last]
}
