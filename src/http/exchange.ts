import type { IncomingMessage } from 'node:http'

/** What the server knows of the client that an HTTP request comes from. */
export interface Exchange {
  /** The address that the request counts for. */
  readonly address: string
  /** The address and, once it is proven, the identity: their shares of the memory are charged. */
  readonly owners: string[]
  /** How long the body was. */
  bodyBytes: number
}

const exchanges = new WeakMap<IncomingMessage, Exchange>()

export function openExchange(req: IncomingMessage, address: string): Exchange {
  const exchange: Exchange = { address, owners: [address], bodyBytes: 0 }
  exchanges.set(req, exchange)
  return exchange
}

/** The exchange that was opened when the request arrived. */
export function exchangeOf(req: IncomingMessage): Exchange {
  return exchanges.get(req) ?? openExchange(req, '')
}
