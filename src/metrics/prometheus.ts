import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { GAUGES, TOTALS, type Metrics, type Reading } from './index'

const PREFIX = 'messagebox_'
const LATENCIES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const COMMIT_ROWS = [1, 2, 5, 10, 20, 50, 100, 200, 500]

export interface PrometheusMetrics {
  metrics: Metrics
  registry: Registry
}

/** @param labels of the server itself, such as its version */
export function createPrometheus(labels: Record<string, string>): PrometheusMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const counter = <L extends string>(
    name: string,
    help: string,
    labelNames: L[] = [],
  ): Counter<L> => new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers })

  new Gauge({
    name: `${PREFIX}info`,
    help: 'Always 1; the labels describe the server',
    labelNames: Object.keys(labels),
    registers,
    aggregator: 'first',
  }).set(labels, 1)
  const requests = counter(
    'http_requests_total',
    'HTTP requests by status; "aborted" if the client disconnected before the answer',
    ['route', 'status'],
  )
  const durations = new Histogram({
    name: `${PREFIX}http_request_duration_seconds`,
    help: "From the arrival of a request's headers to the end of its answer",
    labelNames: ['route'],
    buckets: LATENCIES,
    registers,
  })
  const handshakes = counter('handshakes_total', 'Answered handshakes', ['transport'])
  const rejections = counter('refusals_total', 'Rejected requests and events by error code', [
    'code',
    'transport',
  ])
  const sends = counter('sends_total', 'Sends that succeeded, each for one recipient or several')
  const stored = counter('messages_stored_total', 'Stored messages, one for each recipient')
  const duplicates = counter(
    'messages_duplicate_total',
    'Messages sent again that were stored before',
  )
  const acknowledged = counter(
    'messages_acknowledged_total',
    'Messages removed by their recipients',
  )
  const expired = counter('messages_expired_total', 'Messages removed after their retention')
  const delivered = counter('live_deliveries_total', 'Live messages, one for each socket')
  const commitRows = new Histogram({
    name: `${PREFIX}commit_messages`,
    help: 'Messages that one commit stored or removed',
    buckets: COMMIT_ROWS,
    registers,
  })
  const commitDurations = new Histogram({
    name: `${PREFIX}commit_duration_seconds`,
    help: 'How long a commit took',
    buckets: LATENCIES,
    registers,
  })

  return {
    registry,
    metrics: {
      request(route, status, seconds) {
        requests.inc({ route, status: status ?? 'aborted' })
        if (status !== undefined) durations.observe({ route }, seconds)
      },
      handshake: (transport) => {
        handshakes.inc({ transport })
      },
      rejected: (code, transport) => {
        rejections.inc({ code, transport })
      },
      sent(results) {
        const again = results.filter(({ duplicate }) => duplicate).length
        sends.inc()
        stored.inc(results.length - again)
        duplicates.inc(again)
      },
      acknowledged: (messages) => {
        acknowledged.inc(messages)
      },
      expired: (messages) => {
        expired.inc(messages)
      },
      delivered: (sockets) => {
        delivered.inc(sockets)
      },
      committed(rows, seconds) {
        commitRows.observe(rows)
        commitDurations.observe(seconds)
      },
      watch: (reading, read) => {
        watch(registry, reading, read)
      },
    },
  }
}

function watch(registry: Registry, reading: Reading, read: () => number): void {
  const name = `${PREFIX}${reading}`
  if (reading in GAUGES) {
    new Gauge({
      name,
      help: GAUGES[reading as keyof typeof GAUGES],
      registers: [registry],
      // Of several workers. Redis is up if it is up for all of them.
      aggregator: reading === 'redis_up' ? 'min' : 'sum',
      collect() {
        this.set(read())
      },
    })
  } else {
    new Counter({
      name,
      help: TOTALS[reading as keyof typeof TOTALS],
      registers: [registry],
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }
}
