import type { Server } from 'node:http'
import { Server as TcpServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { waitUntilQuiet } from '../lib/quiet'
import { endsWithin } from '../lib/timeout'

const IDLE_CHECK_MS = 50
/** How long a stopping server still accepts connections of clients that do not know of the stop. */
const ACCEPT_GRACE_MS = 250
/** Which part of the timeout to wait at most until clients send nothing new. */
const QUIET_PART = 0.4

export interface DrainTimes {
  /** After this time the remaining connections are cut off. */
  timeoutMs: number
  /**
   * How long idle connections are kept: a request that is on its way would be lost. The server
   * answers it, and says that the connection ends.
   */
  idleGraceMs: number
}

/**
 * Closes an HTTP server without losing a request. Resolves when no client is connected any more.
 * @param listConnections the open connections
 */
export async function drain(
  server: Server,
  listConnections: () => Iterable<Socket>,
  { timeoutMs, idleGraceMs }: DrainTimes,
): Promise<void> {
  const timer = setTimeout(() => {
    server.closeAllConnections()
  }, timeoutMs)
  let events = 0
  const countEvent = (): void => {
    events++
  }
  const waitForQuiet = async (): Promise<void> => {
    await waitUntilQuiet(() => events, Date.now() + timeoutMs * QUIET_PART)
  }
  server.on('connection', countEvent).on('request', countEvent)
  // Closing the port would cut off clients that wait to be accepted, and may have sent a request.
  await pause(Math.min(ACCEPT_GRACE_MS, idleGraceMs))
  await waitForQuiet()
  // The close of net.Server, since that of http.Server would close idle connections at once.
  const closed = new Promise((resolve) => TcpServer.prototype.close.call(server, resolve))
  await endsWithin(closed, idleGraceMs)
  await waitForQuiet()
  // To Node a connection without any bytes is neither idle nor busy.
  for (const socket of listConnections()) if (socket.bytesRead === 0) socket.destroy()
  server.closeIdleConnections()
  const idleCheck = setInterval(() => {
    server.closeIdleConnections()
  }, IDLE_CHECK_MS)
  await closed
  // This also ends Node's own timers for the server's connections.
  server.close()
  clearInterval(idleCheck)
  clearTimeout(timer)
}
