/** One socket of the message box: which event does what. */
import type { Logger } from 'pino'
import { ApiError, toApiError } from '../errors'
import type { Mailbox } from '../mailbox'
import { ackEvent, EVENTS, MAX_ROOM_LENGTH, type Room } from '../protocol'
import { isName, parseLiveSend, parseRoom, toIdentityKey } from '../validate'
import type { AuthSocket, Opening } from './authSocket'
import type { Hub } from './hub'

const MAX_ROOMS = 1000

export interface SessionParts {
  mailbox: Mailbox
  hub: Hub
  logger: Logger
}

/** Serves a socket's events, from its connection until it has gone. */
export function serveSocket (socket: AuthSocket, { mailbox, hub, logger }: SessionParts): void {
  /** Sends are stored together, but acknowledged in their order: the client takes the first answer for its own. */
  let answered = Promise.resolve()

  const refuse = (event: string, error: unknown): void => {
    socket.emit(event, { reason: toRefusal(error, logger).message })
  }

  const handlers: Record<string, (data: unknown) => void> = {
    [EVENTS.authenticated] (data) {
      const { identityKey } = (data ?? {}) as { identityKey?: unknown }
      authenticate(socket, identityKey)
    },

    [EVENTS.joinRoom] (roomId) {
      try {
        const room = ownRoom(socket, roomId)
        if (socket.rooms.size >= MAX_ROOMS && !hub.has(socket, room)) throw new ApiError('ERR_TOO_MANY_ROOMS')
        hub.join(socket, room, roomId as string)
        socket.emit(EVENTS.joinedRoom, { roomId })
      } catch (error) {
        refuse(EVENTS.joinFailed, error)
      }
    },

    [EVENTS.leaveRoom] (roomId) {
      try {
        hub.leave(socket, ownRoom(socket, roomId))
        socket.emit(EVENTS.leftRoom, { roomId })
      } catch (error) {
        refuse(EVENTS.leaveFailed, error)
      }
    },

    [EVENTS.sendMessage] (data) {
      const stored = send(data)
      answered = answered.then(async () => { answerSend(data, await stored) }).catch(error => { toRefusal(error, logger) })
    }
  }

  /** Stores a message; resolves with what was wrong with it, or nothing. Begins at once. */
  async function send (data: unknown): Promise<ApiError | undefined> {
    try {
      await mailbox.send(socket.identityKey!, parseLiveSend(data))
      return undefined
    } catch (error) {
      return toRefusal(error, logger)
    }
  }

  function answerSend (data: unknown, refusal: ApiError | undefined): void {
    const { roomId, message } = (data ?? {}) as { roomId?: unknown, message?: { messageId?: unknown } | null }
    // Only what could be a name is said again: the client chose it, and it may be of any shape and size.
    const messageId = isName(message?.messageId) ? message.messageId : undefined
    if (refusal !== undefined) socket.emit(EVENTS.messageFailed, { reason: refusal.message })
    if (typeof roomId !== 'string' || roomId.length > MAX_ROOM_LENGTH) return
    socket.emit(ackEvent(roomId), refusal === undefined ? { status: 'success', messageId } : { ...refusal.toBody(), messageId })
  }

  for (const [eventName, handler] of Object.entries(handlers)) socket.on(eventName, handler)
  socket.on('identified', opening => {
    if (opening as Opening === 'named') authenticate(socket, socket.claimedKey)
    if (opening as Opening === 'silence') hub.joinEverything(socket, socket.identityKey!)
  })
  socket.on('disconnect', () => { hub.drop(socket) })
}

function authenticate (socket: AuthSocket, claimedKey: unknown): void {
  if (toIdentityKey(claimedKey) === socket.identityKey) socket.emit(EVENTS.authenticationSuccess, { status: 'success' })
  else socket.emit(EVENTS.authenticationFailed, { reason: 'This connection is authenticated as another identity key than the one that was named.' })
}

/** @throws ApiError where the room is malformed, or somebody else's */
function ownRoom (socket: AuthSocket, roomId: unknown): Room {
  const room = parseRoom(roomId)
  if (room.recipient !== socket.identityKey) throw new ApiError('ERR_NOT_YOUR_ROOM')
  return room
}

/** The refusal to tell the client; what is not from the catalogue is logged. */
function toRefusal (error: unknown, logger: Logger): ApiError {
  const refusal = toApiError(error)
  if (refusal !== error) logger.error({ err: error }, 'an event failed')
  return refusal
}
