import { ApiError } from '../../contract/errors'
import { parseRoom } from '../../contract/messages'
import { MAX_ROOM_NAMES_BYTES, MAX_ROOMS, type Room } from '../../contract/protocol'
import type { AuthSocket } from '../authSocket'
import type { Hub } from '../hub'
import { namesOf } from '../memberships'
import {
  EXAMPLE_ROOM,
  failWith,
  REASON,
  ROOM,
  ROOM_REPLY,
  type ClientEvent,
  type EventMessage,
} from './event'

const joinedRoom: EventMessage = { name: 'joinedRoom', payload: ROOM_REPLY }
const joinFailed: EventMessage = { name: 'joinFailed', payload: REASON }

export const join: ClientEvent = {
  id: 'join',
  summary: "Listen to one of the client's own boxes. The server rejects rooms of other keys.",
  message: { name: 'joinRoom', payload: ROOM, example: EXAMPLE_ROOM },
  replies: [joinedRoom, joinFailed],
  async handle(roomId, { socket, hub }) {
    const room = parseOwnRoom(socket, roomId)
    checkRoomLimit(socket, hub, room, roomId as string)
    // A captured event that is replayed on another connection must not open a room.
    await socket.proveFresh()
    // Other rooms may have been joined meanwhile.
    checkRoomLimit(socket, hub, room, roomId as string)
    await hub.join(socket, room, roomId as string)
    return [{ event: joinedRoom.name, data: { roomId } }]
  },
  toErrorReplies: failWith(joinFailed),
}

const leftRoom: EventMessage = { name: 'leftRoom', payload: ROOM_REPLY }
const leaveFailed: EventMessage = { name: 'leaveFailed', payload: REASON }

export const leave: ClientEvent = {
  id: 'leave',
  summary: 'Stop listening to a box.',
  message: { name: 'leaveRoom', payload: ROOM, example: EXAMPLE_ROOM },
  replies: [leftRoom, leaveFailed],
  async handle(roomId, { socket, hub }) {
    hub.leave(socket, parseOwnRoom(socket, roomId))
    return [{ event: leftRoom.name, data: { roomId } }]
  },
  toErrorReplies: failWith(leaveFailed),
}

/**
 * Gives a client that has come back its earlier rooms, once its identity is proven on this
 * connection.
 */
export async function rejoin(socket: AuthSocket, hub: Hub): Promise<void> {
  const returning = socket.takeReturning()
  if (returning === undefined || returning.identityKey !== socket.identityKey) return
  await Promise.all(
    returning.rooms.map((roomId) => hub.join(socket, parseOwnRoom(socket, roomId), roomId)),
  )
}

/** @throws ApiError ERR_TOO_MANY_ROOMS */
function checkRoomLimit(socket: AuthSocket, hub: Hub, room: Room, roomId: string): void {
  if (hub.has(socket, room)) return
  const { rooms, identityKey } = socket
  const names = namesOf({ identityKey: identityKey!, rooms: [...rooms.names, roomId] })
  if (rooms.names.size >= MAX_ROOMS || names.length > MAX_ROOM_NAMES_BYTES)
    throw new ApiError('ERR_TOO_MANY_ROOMS')
}

/** @throws ApiError ERR_INVALID_ROOM, ERR_NOT_YOUR_ROOM */
function parseOwnRoom({ identityKey }: AuthSocket, roomId: unknown): Room {
  const room = parseRoom(roomId)
  if (room.recipient !== identityKey) throw new ApiError('ERR_NOT_YOUR_ROOM')
  return room
}
