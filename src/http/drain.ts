/** Closing an HTTP server: whoever is connected, or about to be, gets the answer to what was sent. */
import type { Server } from 'node:http'
import { Server as TcpServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { waitUntilQuiet } from '../lib/quiet'
import { endsWithin } from '../lib/timeout'

/**
 * How long a server that stops keeps idle connections, in milliseconds: a request may be on its way on one, and would
 * be lost if the connection was closed in that moment. Those that come are answered, and told that the connection ends.
 */
const IDLE_GRACE = 500
/** How often to look for connections that have become idle, in milliseconds. */
const SWEEP = 50
/** How long a server that stops still accepts connections, for those whom the news has not reached, in milliseconds. */
const ACCEPT_GRACE = 250
/** Which part of the deadline to wait for clients to fall silent. */
const QUIET_PART = 0.4

/**
 * Stops an HTTP server without dropping anything: resolves when nobody is connected any more.
 * @param connections those that are open, as they come and go
 * @param options `deadline`: when to cut off whatever is left, in milliseconds from now
 */
export async function drain(
  server: Server,
  connections: () => Iterable<Socket>,
  { deadline, idleGrace = IDLE_GRACE }: { deadline: number; idleGrace?: number },
): Promise<void> {
  const end = setTimeout(() => {
    server.closeAllConnections()
  }, deadline)
  let events = 0
  const count = (): void => {
    events++
  }
  const waitForQuiet = async (): Promise<void> => {
    await waitUntilQuiet(() => events, Date.now() + deadline * QUIET_PART)
  }
  server.on('connection', count).on('request', count)
  // Closing the port would cut off those who wait to be accepted, with a request sent, perhaps.
  await pause(Math.min(ACCEPT_GRACE, idleGrace))
  await waitForQuiet()
  // As a server of plain connections, since that of HTTP would close idle ones at once.
  const closed = new Promise((resolve) => TcpServer.prototype.close.call(server, resolve))
  await endsWithin(closed, idleGrace)
  await waitForQuiet()
  // Node counts connections on which nothing has come neither as idle nor as busy.
  for (const socket of connections()) if (socket.bytesRead === 0) socket.destroy()
  server.closeIdleConnections()
  const sweep = setInterval(() => {
    server.closeIdleConnections()
  }, SWEEP)
  await closed
  // It also ends what Node keeps for the server's connections.
  server.close()
  clearInterval(sweep)
  clearTimeout(end)
}
