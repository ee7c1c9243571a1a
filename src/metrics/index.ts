/** What is counted of a running server. Off is an implementation: `noMetrics` counts nothing. */
import type { ErrorCode } from '../contract/errors'
import type { SendResult } from '../contract/protocol'

type Transport = 'http' | 'socket'

/** What is read when somebody looks, rather than counted as it happens. */
export const GAUGES = {
  sockets: 'Sockets that are connected, or may still come back',
  rooms: 'Rooms with somebody in them',
  requests_in_progress: 'Requests that are being worked on',
  database_connections: 'Connections to the database that are in use',
  database_connections_idle: 'Connections to the database that are open and not in use',
  database_waiting: 'Queries that wait for a connection',
  redis_up: 'Whether Redis answers: 1 or 0, 1 where there is none',
} as const

/** The same for what only grows. */
export const TOTALS = {
  socket_faults_total: 'Broken or unsigned frames from sockets',
  socket_slow_readers_total: 'Sockets closed since they did not read what was sent to them',
} as const

export type Reading = keyof typeof GAUGES | keyof typeof TOTALS

export interface Metrics {
  /**
   * @param route one of a fixed set, never what a client made up
   * @param status undefined where the client left before there was an answer
   */
  request: (route: string, status: number | undefined, seconds: number) => void
  handshake: (transport: Transport) => void
  rejected: (code: ErrorCode, transport: Transport) => void
  /** A send that was stored, for all its recipients. */
  sent: (results: SendResult[]) => void
  acknowledged: (messages: number) => void
  expired: (messages: number) => void
  delivered: (sockets: number) => void
  committed: (rows: number, seconds: number) => void
  /** Names where to read something. */
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
