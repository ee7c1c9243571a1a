import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * CORS for HTTP and for the socket's polling: browsers may call from anywhere, also into a private network. What
 * protects a request is its signature, not its origin. Preflight requests are answered here.
 */
export function cors(req: IncomingMessage, res: ServerResponse, next: () => void): void {
  res.setHeader('access-control-allow-origin', '*')
  res.setHeader(
    'access-control-allow-headers',
    req.headers['access-control-request-headers'] ?? '*',
  )
  res.setHeader('access-control-allow-methods', '*')
  res.setHeader('access-control-expose-headers', '*')
  res.setHeader('access-control-allow-private-network', 'true')
  if (req.method !== 'OPTIONS') return next()
  res.setHeader('content-length', '0')
  res.writeHead(200).end()
}
