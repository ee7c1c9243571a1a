import type { RequestHandler } from 'express'
import helmet from 'helmet'

/** Where the scripts of a page may connect to: this server only, or any server. */
export type Reach = 'here' | 'anywhere'

/** The headers of pages: all content from this server, nothing inline, no frames. */
export function securityHeaders(reach: Reach): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'script-src': ["'self'"],
        'style-src': ["'self'"],
        'img-src': ["'self'"],
        'connect-src': reach === 'here' ? ["'self'"] : ["'self'", 'http:', 'https:', 'ws:', 'wss:'],
        'frame-ancestors': ["'none'"],
        'base-uri': ["'none'"],
        'form-action': ["'self'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
    // The operator of the TLS proxy decides about this header.
    strictTransportSecurity: false,
    frameguard: { action: 'deny' },
  })
}
