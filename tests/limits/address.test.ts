import { describe, expect, test } from '@jest/globals'
import type { IncomingMessage } from 'node:http'
import { ClientAddress, rateKey } from '../../src/limits/address'
import { parseTrustProxy } from '../../src/config/parsers'

const from = (remoteAddress: string | undefined, forwarded?: string): IncomingMessage => {
  return {
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  } as unknown as IncomingMessage
}

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:0001:0002::9', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', 'unknown'],
  ['nonsense', 'unknown'],
  ['192.0.2.1:8080', '192.0.2.1'],
  ['[2001:db8:1:2::9]:443', '2001:db8:1:2::/64'],
  ['[2001:db8:1:2::9]', '2001:db8:1:2::/64'],
  ['192.0.2.1:port', 'unknown'],
])('%s counts as %s', (address, key) => {
  expect(rateKey(address)).toBe(key)
})

describe('the address a request counts for', () => {
  test.each<[trust: string, remote: string, forwarded: string | undefined, key: string]>([
    ['false', '192.0.2.1', '203.0.113.7', '192.0.2.1'],
    ['true', '192.0.2.1', '203.0.113.7', '203.0.113.7'],
    ['true', '192.0.2.1', 'made up, 203.0.113.7', '203.0.113.7'],
    ['true', '192.0.2.1', undefined, '192.0.2.1'],
    ['2', '192.0.2.1', '198.51.100.1, 203.0.113.7, 192.0.2.2', '203.0.113.7'],
    ['1', '192.0.2.1', 'nonsense', 'unknown'],
    ['loopback', '127.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['loopback', '::ffff:127.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['loopback', '192.0.2.1', '203.0.113.7', '192.0.2.1'],
    ['192.0.2.0/24', '192.0.2.9', '203.0.113.7, 192.0.2.3', '203.0.113.7'],
    ['2001:db8::/32', '2001:db8::1', '203.0.113.7', '203.0.113.7'],
  ])('TRUST_PROXY=%s: from %s for %s counts for %s', (trust, remote, forwarded, key) => {
    expect(new ClientAddress(parseTrustProxy(trust)).of(from(remote, forwarded))).toBe(key)
  })

  test('a closed connection counts as "unknown"', () => {
    expect(new ClientAddress(1).of(from(undefined, '203.0.113.7'))).toBe('unknown')
  })
})
