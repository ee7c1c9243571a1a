/** Closing an HTTP server: whoever is connected, or about to be, gets the answer to what was sent. */
import type { Server } from 'node:http'
import { Server as TcpServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/**
 * How long a server that stops keeps idle connections, in milliseconds: a request may be on its way on one, and would
 * be lost if the connection was closed in that moment. Those that come are answered, and told that the connection ends.
 */
const IDLE_GRACE = 500
/** How often to look for connections that have become idle, in milliseconds. */
const SWEEP = 50
/** How long a server that stops still accepts connections, for those whom the news has not reached, in milliseconds. */
const ACCEPT_GRACE = 250
/** How many turns of the event loop without anything new count as quiet, and which part of the deadline to wait for them. */
const QUIET_TURNS = 5
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
  // Closing the port would cut off those who wait to be accepted, with a request sent, perhaps.
  await pause(Math.min(ACCEPT_GRACE, idleGrace))
  await quiet(server, deadline * QUIET_PART)
  // As a server of plain connections, since that of HTTP would close idle ones at once.
  const closed = new Promise((resolve) => TcpServer.prototype.close.call(server, resolve))
  await Promise.race([closed, pause(idleGrace, undefined, { ref: false })])
  await quiet(server, deadline * QUIET_PART)
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

/**
 * Resolves when nothing waits in the system's buffers: each turn of the event loop accepts a connection and reads what
 * others have sent, so a few turns in which neither happened mean that there is nothing.
 * @param patience when to give up, in milliseconds: somebody may come at every turn
 */
async function quiet(server: Server, patience: number): Promise<void> {
  const end = Date.now() + patience
  let turns = 0
  const hear = (): void => {
    turns = 0
  }
  server.on('connection', hear).on('request', hear)
  for (; turns < QUIET_TURNS && Date.now() < end; turns++) await new Promise(setImmediate)
  server.off('connection', hear).off('request', hear)
}
