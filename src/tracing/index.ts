export { noTracing, type Tracing } from './tracing'
import type { Tracing } from './tracing'

/**
 * Loads OpenTelemetry and sends traces to its collector.
 * @param endpoint such as http://localhost:4318, the base of OTLP over HTTP
 * @param attributes of the server itself, such as its version
 */
export function startTracing(endpoint: string, attributes: Record<string, string>): Tracing {
  // Only here: without an endpoint none of it is in memory.
  const { createTracing } = require('./openTelemetry') as typeof import('./openTelemetry')
  return createTracing(endpoint, attributes)
}
