/**
 * Parsers of settings: each returns a value, or throws an Error whose message continues the name of
 * the variable ("must be …"). No message repeats the value, since it may be a secret.
 */
import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { MAX_NAME_LENGTH } from '../contract/protocol'
import { Secret } from '../lib/secret'

export type Environment = 'development' | 'staging' | 'production' | 'test'
export type Network = 'main' | 'test' | 'local'

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB
const SECOND = 1000
export const DAY = 24 * 60 * 60 * SECOND

export function parseEnvironment(value: string): Environment {
  return oneOf(value, ['development', 'staging', 'production', 'test'])
}

export function parseLogLevel(value: string): LogLevel {
  return oneOf(value, LOG_LEVELS)
}

function oneOf<T extends string>(value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw new Error(`must be one of ${choices.join(', ')}`)
  return found
}

export function parsePort(value: string): number {
  const port = Number(value)
  if (!/^\d+$/.test(value) || port > 65535) throw new Error('must be a port number from 0 to 65535')
  return port
}

export function parseHost(value: string): string {
  if (isIP(value) === 0 && value !== 'localhost')
    throw new Error('must be an IP address such as 127.0.0.1, or localhost')
  return value
}

export function parsePrefix(value: string): string {
  const prefix = value.replace(/\/+$/, '')
  if (prefix !== '' && !/^(\/[A-Za-z0-9._~-]+)+$/.test(prefix)) {
    throw new Error(
      'must be a path like /api: a slash, then letters, digits, dots, dashes or underscores',
    )
  }
  return prefix
}

/**
 * A URL without user and password, since `fetch` rejects them and pages show the URL.
 * @returns the URL without slashes at its end
 */
export function parseUrl(value: string): string {
  const { username, password } = toUrl(value, 'https://box.example.com')
  if (username !== '' || password !== '')
    throw new Error(
      'must not hold a user or a password: nothing before the host, as in https://box.example.com',
    )
  return parseEndpoint(value)
}

/** @returns the URL without slashes at its end; it may hold a user and a password */
export function parseEndpoint(value: string): string {
  const { protocol } = toUrl(value, 'https://box.example.com')
  if (protocol !== 'https:' && protocol !== 'http:')
    throw new Error('must begin with https:// or http://')
  return value.replace(/\/+$/, '')
}

/** A secret, since the URL may hold a password. */
export function parseRedisUrl(value: string): Secret {
  const { protocol } = toUrl(value, 'redis://127.0.0.1:6379')
  if (protocol !== 'redis:' && protocol !== 'rediss:')
    throw new Error('must begin with redis:// or rediss://')
  return new Secret(value)
}

function toUrl(value: string, example: string): URL {
  try {
    return new URL(value)
  } catch {
    throw new Error(`must be a URL like ${example}`)
  }
}

/** The order of secp256k1: a private key is at least 1 and less than this. */
const CURVE_ORDER = BigInt('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141')

export function parsePrivateKey(value: string): Secret {
  if (!/^[0-9a-fA-F]{64}$/.test(value))
    throw new Error('must be 64 hex digits (256 bits): make one with "npm run keygen"')
  const scalar = BigInt(`0x${value}`)
  if (scalar === 0n || scalar >= CURVE_ORDER)
    throw new Error('is not in the range of the curve: make one with "npm run keygen"')
  return new Secret(value.toLowerCase())
}

export function parseNetwork(value: string): Network {
  switch (value.toLowerCase()) {
    case 'main':
    case 'mainnet':
      return 'main'
    case 'test':
    case 'testnet':
      return 'test'
    case 'local':
    case 'regtest':
      return 'local'
    default:
      throw new Error('must be main (or mainnet), test (or testnet), local (or regtest)')
  }
}

export function parseBoolean(value: string): boolean {
  if (value === 'true') return true
  if (value === 'false') return false
  throw new Error('must be true or false')
}

export function parseMigrateKey(value: string): Secret {
  if (value.length <= 10) throw new Error('must be longer than 10 characters')
  return new Secret(value)
}

/** A limit; undefined if it is off. */
export type Limit = number | undefined

/** Makes a parser that accepts `off` beside what another accepts. */
export function createLimitParser(parse: (value: string) => number): (value: string) => Limit {
  return (value) => {
    if (value === 'off') return undefined
    try {
      return parse(value)
    } catch (error) {
      throw new Error(`${(error as Error).message}, or off`)
    }
  }
}

export function parseCount(value: string): number {
  const count = Number(value)
  if (!/^\d+$/.test(value) || count < 1 || !Number.isSafeInteger(count))
    throw new Error('must be a whole number, 1 or more')
  return count
}

const MAX_WORKERS = 128

/** A number of processes; `auto` is one for each core that this process may use. */
export function parseWorkers(value: string): number {
  const count = value === 'auto' ? Math.min(availableParallelism(), MAX_WORKERS) : Number(value)
  if (!/^(auto|\d+)$/.test(value) || count < 1 || count > MAX_WORKERS)
    throw new Error(`must be a number of processes from 1 to ${MAX_WORKERS}, or auto`)
  return count
}

/** A number of days, which may have a fraction, in milliseconds. */
export function parseDays(value: string): number {
  const days = Number(value)
  if (!/^\d+(\.\d+)?$/.test(value) || days <= 0 || days > 36500)
    throw new Error('must be a number of days, more than 0 and up to 36500')
  return days * DAY
}

const SIZE_UNITS: Record<string, number> = { '': 1, b: 1, kb: KIB, mb: MIB, gb: GIB, tb: KIB * GIB }

/** Makes the parser of a size in bytes, between two bounds such as `1kb`. */
export function createSizeParser(least: string, most: string): (value: string) => number {
  const [from, to] = [toBytes(least), toBytes(most)]
  return (value) => {
    const bytes = toBytes(value)
    if (!(bytes >= from && bytes <= to))
      throw new Error(`must be a size from ${least} to ${most}, such as ${least}`)
    return bytes
  }
}

function toBytes(value: string): number {
  const match = /^(\d+) ?(b|kb|mb|gb|tb)?$/i.exec(value)
  return match === null ? NaN : Number(match[1]) * SIZE_UNITS[(match[2] ?? '').toLowerCase()]!
}

const TIME_UNITS: Record<string, number> = {
  '': SECOND,
  s: SECOND,
  second: SECOND,
  seconds: SECOND,
  m: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: DAY,
  day: DAY,
  days: DAY,
}

/** Makes the parser of a time in milliseconds, between two bounds such as `10 minutes`. */
export function createDurationParser(
  least: string,
  most: string,
  examples: string,
): (value: string) => number {
  const [from, to] = [toMilliseconds(least), toMilliseconds(most)]
  return (value) => {
    const time = toMilliseconds(value)
    if (!(time >= from && time <= to))
      throw new Error(
        `must be a time from ${least} to ${most}, such as ${examples} or a number of seconds`,
      )
    return time
  }
}

function toMilliseconds(value: string): number {
  const match = /^(\d+) ?([a-z]*)$/i.exec(value)
  const unit = (match?.[2] ?? '').toLowerCase()
  return Number(match?.[1]) * (Object.hasOwn(TIME_UNITS, unit) ? TIME_UNITS[unit]! : NaN)
}

/** The number of proxies before the server, or their addresses; see proxy-addr. */
export type TrustProxy = number | string[]

const PROXY_NETWORKS = ['loopback', 'linklocal', 'uniquelocal']

/** `true` is one proxy: the server never believes an address that a client can make up. */
export function parseTrustProxy(value: string): TrustProxy {
  if (value === 'true') return 1
  if (value === 'false') return 0
  if (/^\d{1,2}$/.test(value)) return Number(value)
  const networks = value.split(',').map((network) => network.trim())
  if (!networks.every(isNetwork))
    throw new Error(
      'must be a number of proxies, or their addresses: such as 1, or 10.0.0.0/8, loopback',
    )
  return networks
}

function isNetwork(value: string): boolean {
  if (PROXY_NETWORKS.includes(value)) return true
  const [address = '', bits, ...rest] = value.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
  )
}

/** Satoshis by box name. */
export type DeliveryFees = Record<string, number>

/** These cannot have a price, since the payment client never asks for one. */
const FREE_BOXES = ['payment_inbox', 'payment_requests']

/** Such as `notifications=10, letters=5`. */
export function parseFees(value: string): DeliveryFees {
  const fees = new Map<string, number>()
  for (const part of value.split(',')) {
    const [, box, fee] = /^\s*([^=]+?)\s*=\s*(\d{1,15})\s*$/.exec(part) ?? []
    if (box === undefined)
      throw new Error('must be fees in satoshis by box name, such as notifications=10,letters=5')
    if (FREE_BOXES.includes(box))
      throw new Error(
        `must leave ${FREE_BOXES.join(' and ')} free, ` +
          'since the payment client never asks for their price',
      )
    if (fees.has(box)) throw new Error('must name each box once')
    fees.set(box, Number(fee))
  }
  return Object.fromEntries(fees)
}

/** Names of boxes, such as `notifications, letters`. */
export function parseBoxes(value: string): string[] {
  const boxes = value.split(',').map((box) => box.trim())
  if (!boxes.every((box) => box !== '' && [...box].length <= MAX_NAME_LENGTH)) {
    throw new Error(
      `must be names of boxes of up to ${MAX_NAME_LENGTH} characters each, ` +
        'such as notifications,letters',
    )
  }
  return [...new Set(boxes)]
}

/** The id of a project at Google, as it stands in URLs. */
export function parseProject(value: string): string {
  if (!/^[a-z0-9][a-z0-9.:-]{0,99}$/.test(value))
    throw new Error('must be the id of a project, such as my-project-12345')
  return value
}

/** The memory of a body or an answer, as a multiple of its length. */
export const MEMORY_FACTOR = 1.5

/** The largest answer in bytes: a page, or one message, which JSON escapes can double. */
export function largestAnswer(maxPageBytes: number, maxBodyBytes: number): number {
  return Math.max(maxPageBytes, maxBodyBytes * 2)
}
