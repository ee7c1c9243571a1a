/** What a running server counts. `noMetrics` counts nothing. */
import type { ErrorCode } from '../contract/errors'
import type { SendResult } from '../contract/protocol'

type Transport = 'http' | 'socket'

/** Values that are read when Prometheus asks. */
export const GAUGES = {
  sockets: 'Sockets that are connected, or may still return',
  rooms: 'Rooms with at least one socket',
  requests_in_progress: 'Requests that are being worked on',
  database_connections: 'Connections to the database that are in use',
  database_connections_idle: 'Connections to the database that are open and not in use',
  database_waiting: 'Queries that wait for a connection',
  redis_up: 'Whether Redis answers: 1 or 0, 1 if none is configured',
  workers: 'Worker processes that serve, or 1',
} as const

/** The same for values that only grow. */
export const TOTALS = {
  socket_faults_total: 'Broken or unsigned frames from sockets',
  socket_slow_readers_total: 'Sockets closed because their clients read too slowly',
} as const

export type Reading = keyof typeof GAUGES | keyof typeof TOTALS

export interface Metrics {
  /**
   * @param route from a fixed set, never a client's text
   * @param status undefined if the client disconnected before the answer
   */
  request: (route: string, status: number | undefined, seconds: number) => void
  handshake: (transport: Transport) => void
  rejected: (code: ErrorCode, transport: Transport) => void
  /** A stored send, with the result of each recipient. */
  sent: (results: SendResult[]) => void
  acknowledged: (messages: number) => void
  expired: (messages: number) => void
  delivered: (sockets: number) => void
  committed: (rows: number, seconds: number) => void
  watch: (reading: Reading, read: () => number) => void
}

const nothing = (): void => {}

export const noMetrics: Metrics = {
  request: nothing,
  handshake: nothing,
  rejected: nothing,
  sent: nothing,
  acknowledged: nothing,
  expired: nothing,
  delivered: nothing,
  committed: nothing,
  watch: nothing,
}
