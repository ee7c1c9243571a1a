/**
 * The overlay service of this server. Clients submit advertisements of hosts to its one topic, and
 * find them through its one lookup service. The SDK's `TopicBroadcaster` and `LookupResolver`
 * expect it at the root of the server (BRC-22, BRC-24).
 */
import type { Config } from '../config'
import { createRoutes, type Route } from '../routes/route'
import { TransactionVerifier } from '../spv/verifier'
import { OVERLAY_ROUTES, type OverlayParts } from './routes'

export interface Overlay {
  routes: Route[]
  close: () => Promise<void>
}

export function createOverlay(
  { overlay, network, payments }: Pick<Config, 'overlay' | 'network' | 'payments'>,
  { store, limits }: Omit<OverlayParts, 'verifier'>,
): Overlay {
  if (!overlay.enabled) return { routes: [], async close() {} }
  // A local network has no block header service.
  const verifier = new TransactionVerifier(
    'submission',
    network === 'local' ? undefined : payments.chaintracksUrl,
    limits.verification,
  )
  return {
    routes: createRoutes(OVERLAY_ROUTES, { store, limits, verifier }),
    async close() {
      await verifier.close()
    },
  }
}
