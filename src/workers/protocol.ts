/** What a supervisor and its workers tell each other. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'

/** A request to become a WebSocket, which another worker takes with its connection. */
export interface UpgradeRequest {
  method: string
  url: string
  headers: IncomingHttpHeaders
  /** What has arrived after the headers, in base64. */
  head: string
}

export type ToSupervisor =
  | { kind: 'listening'; port: number }
  /** For `SharedState`. */
  | { kind: 'shared'; message: unknown }
  /** Comes with the connection. `to` is the number of a worker. */
  | { kind: 'upgrade'; to: number; request: UpgradeRequest }
  | { kind: 'metrics'; values: object[] }
  | { kind: 'advertising'; state: object }

export type ToWorker =
  | { kind: 'shared'; message: unknown }
  | { kind: 'upgrade'; request: UpgradeRequest }
  | { kind: 'metrics' }
  | { kind: 'advertising'; state: object }
  | { kind: 'stop'; timeoutMs: number }

/** What a worker learns when it is forked. */
export interface Assignment {
  /** From 1. Its replacement has the same number. */
  number: number
  /** How many workers the server has. */
  count: number
  /** The folder of the sockets on which workers take each other's requests. */
  folder: string
}

/**
 * Stops reading a connection that another process takes: what arrives is for that process. Node
 * documents no way to do so, and does not stop by itself until the other process has confirmed.
 */
export function stopReading(connection: Socket): void {
  ;(connection as unknown as { _handle?: { readStop: () => void } })._handle?.readStop()
}
