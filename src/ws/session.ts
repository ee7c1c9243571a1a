/** One socket of the message box: which event does what. */
import type { Logger } from 'pino'
import { ApiError, toApiError } from '../contract/errors'
import type { Mailbox } from '../mailbox'
import type { Metrics } from '../metrics'
import { ackEvent, EVENTS, MAX_ROOM_LENGTH, type Room } from '../contract/protocol'
import { parseLiveSend, parseRoom } from '../contract/messages'
import { isName, toIdentityKey } from '../contract/primitives'
import { Answers } from './replyQueue'
import type { AuthSocket, Opening } from './authSocket'
import type { Hub } from './hub'
import { MAX_NAMES_BYTES, namesOf } from './memberships'

const MAX_ROOMS = 1000

export interface SessionParts {
  mailbox: Mailbox
  hub: Hub
  logger: Logger
  metrics: Metrics
}

/** What becomes of an event; a refusal is told in the event's own way. */
interface Handler {
  handle: (data: unknown) => void
  refuse: (data: unknown, refusal: ApiError) => void
}

/** Serves a socket's events, from its connection until it has gone. */
export function serveSocket(socket: AuthSocket, parts: SessionParts): void {
  const { logger, metrics, hub } = parts

  const toRefusal = (error: unknown): ApiError => {
    const refusal = toApiError(error, {
      error(fields, text) {
        logger.error({ socketId: socket.id, ...fields }, text)
      },
    })
    metrics.rejected(refusal.code, 'socket')
    return refusal
  }
  const answers = new Answers(socket, toRefusal)

  const handlers = createHandlers(socket, parts, answers, toRefusal)

  for (const [eventName, { handle, refuse }] of Object.entries(handlers)) {
    socket.on(eventName, (data) => {
      try {
        handle(data)
      } catch (error) {
        refuse(data, toRefusal(error))
      }
    })
  }
  socket.onRefused((eventName, data, refusal) => {
    if (Object.hasOwn(handlers, eventName)) handlers[eventName]!.refuse(data, toRefusal(refusal))
  })
  socket.on('identified', (opening) => {
    if ((opening as Opening) === 'named') authenticate(socket, socket.claimedKey)
  })
  socket.on('fresh', () => {
    rejoin(socket, hub)
  })
  socket.on('disconnect', () => {
    hub.drop(socket)
  })
}

function createHandlers(
  socket: AuthSocket,
  { mailbox, hub }: SessionParts,
  answers: Answers,
  toRefusal: (error: unknown) => ApiError,
): Record<string, Handler> {
  const answer = (event: string, data: unknown) => (): void => {
    socket.emit(event, data)
  }
  const refuseBy =
    (event: string) =>
    (_data: unknown, { message }: ApiError): void => {
      answers.add(Promise.resolve(answer(event, { reason: message })))
    }
  return {
    [EVENTS.authenticated]: {
      handle(data) {
        const { identityKey } = (data ?? {}) as { identityKey?: unknown }
        authenticate(socket, identityKey)
      },
      refuse: refuseBy(EVENTS.authenticationFailed),
    },

    [EVENTS.joinRoom]: {
      handle(roomId) {
        const room = ownRoom(socket, roomId)
        if (!hub.has(socket, room)) checkRooms(socket, roomId as string)
        // A captured event, played on another connection, must open nothing.
        const joined = socket.proveFresh().then(async () => {
          // Others may have joined meanwhile.
          if (!hub.has(socket, room)) checkRooms(socket, roomId as string)
          await hub.join(socket, room, roomId as string)
        })
        answers.add(
          joined.then(
            () => answer(EVENTS.joinedRoom, { roomId }),
            (error: unknown) => {
              const { message: reason } = toRefusal(error)
              return answer(EVENTS.joinFailed, { reason })
            },
          ),
        )
      },
      refuse: refuseBy(EVENTS.joinFailed),
    },

    [EVENTS.leaveRoom]: {
      handle(roomId) {
        hub.leave(socket, ownRoom(socket, roomId))
        answers.add(Promise.resolve(answer(EVENTS.leftRoom, { roomId })))
      },
      refuse: refuseBy(EVENTS.leaveFailed),
    },

    [EVENTS.sendMessage]: {
      handle(data) {
        // Begins at once: sends are stored together.
        const sent = mailbox.send(
          { identityKey: socket.identityKey!, address: socket.address },
          parseLiveSend(data),
        )
        answers.add(
          sent.then(
            () => () => {
              answerSend(socket, data)
            },
            (error: unknown) => {
              const refusal = toRefusal(error)
              return () => {
                answerSend(socket, data, refusal)
              }
            },
          ),
        )
      },
      refuse(data, refusal) {
        answers.add(
          Promise.resolve(() => {
            answerSend(socket, data, refusal)
          }),
        )
      },
    },
  }
}

function answerSend(socket: AuthSocket, data: unknown, refusal?: ApiError): void {
  const { roomId, message } = (data ?? {}) as {
    roomId?: unknown
    message?: { messageId?: unknown } | null
  }
  // Only what could be a name is said again: the client chose it, and it may be of any shape and size.
  const messageId = isName(message?.messageId) ? message.messageId : undefined
  if (refusal !== undefined) socket.emit(EVENTS.messageFailed, { reason: refusal.message })
  if (typeof roomId !== 'string' || roomId.length > MAX_ROOM_LENGTH) return
  socket.emit(
    ackEvent(roomId),
    refusal === undefined ? { status: 'success', messageId } : { ...refusal.toBody(), messageId },
  )
}

function authenticate(socket: AuthSocket, claimedKey: unknown): void {
  if (toIdentityKey(claimedKey) === socket.identityKey)
    socket.emit(EVENTS.authenticationSuccess, { status: 'success' })
  else
    socket.emit(EVENTS.authenticationFailed, {
      reason:
        'This connection is authenticated as another identity key than the one that was named.',
    })
}

/** Gives a client that has come back the rooms that it had, once its identity is proven here. */
function rejoin(socket: AuthSocket, hub: Hub): void {
  const returning = socket.takeReturning()
  if (returning?.identityKey !== socket.identityKey) return
  for (const roomId of returning!.rooms) void hub.join(socket, ownRoom(socket, roomId), roomId)
}

/** @throws ApiError ERR_TOO_MANY_ROOMS */
function checkRooms({ rooms, identityKey }: AuthSocket, added: string): void {
  const names = namesOf({ identityKey: identityKey!, rooms: [...rooms, added] })
  if (rooms.size >= MAX_ROOMS || names.length > MAX_NAMES_BYTES)
    throw new ApiError('ERR_TOO_MANY_ROOMS')
}

/** @throws ApiError ERR_INVALID_ROOM, ERR_NOT_YOUR_ROOM */
function ownRoom(socket: AuthSocket, roomId: unknown): Room {
  const room = parseRoom(roomId)
  if (room.recipient !== socket.identityKey) throw new ApiError('ERR_NOT_YOUR_ROOM')
  return room
}
