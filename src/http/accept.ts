import type { Socket } from 'node:net'
import { ApiError } from '../contract/errors'
import type { Limits } from '../limits'
import { writeErrorResponse } from './errorResponse'

/** Serves a new connection, or refuses it: for an address that has too many, or that floods the server. */
export function acceptBy({
  address,
  perAddress,
  connections,
}: Pick<Limits, 'address' | 'perAddress' | 'connections'>): (socket: Socket) => boolean {
  return (socket) => {
    const key = address.ofConnection(socket)
    if (key === undefined) return true
    if (perAddress.isFlooding(key)) {
      socket.destroy()
      return false
    }
    if (!connections.hasRoom(key)) {
      writeErrorResponse(
        socket,
        new ApiError('ERR_SERVER_BUSY', 'Your address has too many connections to this server.'),
      )
      return false
    }
    connections.add(key)
    socket.once('close', () => {
      connections.remove(key)
    })
    return true
  }
}
