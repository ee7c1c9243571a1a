import type { RequestHandler } from 'express'
import helmet from 'helmet'

/** Where the programs of a page may connect to: to this server alone, or to any. */
export type Reach = 'here' | 'anywhere'

/** The headers of pages. Everything comes from this server, nothing is inline, and nobody may frame it. */
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
    // Whether a host is to be reached over TLS alone is for whoever runs its proxy to say.
    strictTransportSecurity: false,
    frameguard: { action: 'deny' },
  })
}
