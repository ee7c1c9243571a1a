import type { IncomingMessage, ServerResponse } from 'node:http'

/** Allows cross-origin requests. Answers preflight requests. */
export function cors(req: IncomingMessage, res: ServerResponse, next: () => void): void {
  setCorsHeaders(req, res)
  if (req.method !== 'OPTIONS') return next()
  res.setHeader('content-length', '0')
  res.writeHead(200).end()
}

/**
 * Allows browsers to call from any origin, also into a private network: a request is protected by
 * its signature, not by its origin.
 */
export function setCorsHeaders(req: IncomingMessage, res: ServerResponse): void {
  res.setHeader('access-control-allow-origin', '*')
  res.setHeader(
    'access-control-allow-headers',
    req.headers['access-control-request-headers'] ?? '*',
  )
  res.setHeader('access-control-allow-methods', '*')
  res.setHeader('access-control-expose-headers', '*')
  res.setHeader('access-control-allow-private-network', 'true')
}
