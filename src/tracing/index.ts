export { noTracing, type Tracing } from './tracing'
import type { Tracing } from './tracing'

/**
 * Sends traces to an OpenTelemetry collector.
 * @param endpoint such as http://localhost:4318, the base of OTLP over HTTP
 * @param attributes of the server itself, such as its version
 */
export function startTracing(endpoint: string, attributes: Record<string, string>): Tracing {
  // Loaded here, so that OpenTelemetry takes no memory if tracing is off.
  const { createTracing } = require('./openTelemetry') as typeof import('./openTelemetry')
  return createTracing(endpoint, attributes)
}
