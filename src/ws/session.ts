/** One socket of the message box: which event does what. */
import type { Logger } from 'pino'
import { ApiError, toApiError } from '../errors'
import { unlimited, type RateLimiter } from '../limits/rates'
import type { Mailbox } from '../mailbox'
import type { Metrics } from '../metrics'
import { ackEvent, EVENTS, MAX_ROOM_LENGTH, type Room } from '../protocol'
import { isName, parseLiveSend, parseRoom, toIdentityKey } from '../validate'
import type { AuthSocket, Opening } from './authSocket'
import type { Hub } from './hub'

const MAX_ROOMS = 1000

export interface SessionParts {
  mailbox: Mailbox
  hub: Hub
  logger: Logger
  metrics: Metrics
  /** How often one identity may say something. */
  perIdentity: RateLimiter
}

/** What becomes of an event; a refusal is told in the event's own way. */
interface Handler {
  handle: (data: unknown) => void
  refuse: (data: unknown, error: unknown) => void
}

/** Serves a socket's events, from its connection until it has gone. */
export function serveSocket (socket: AuthSocket, { mailbox, hub, logger, metrics, perIdentity }: SessionParts): void {
  /** Sends are stored together, but answered in their order: the client takes the first answer for its own. */
  let answered = Promise.resolve()

  /** Answers behind everything that was asked before. */
  const answer = (work: Promise<() => void>): void => {
    answered = answered.then(async () => { (await work)() }).catch(error => { toRefusal(error) })
    socket.hold(answered)
  }

  /** The refusal to tell the client. */
  const toRefusal = (error: unknown): ApiError => {
    const refusal = toApiError(error, { error (fields, text) { logger.error({ socketId: socket.id, ...fields }, text) } })
    metrics.refused(refusal.code, 'socket')
    return refusal
  }

  const refuseBy = (event: string) => (_data: unknown, error: unknown): void => {
    const { message } = toRefusal(error)
    answer(Promise.resolve(() => { socket.emit(event, { reason: message }) }))
  }

  const handlers: Record<string, Handler> = {
    [EVENTS.authenticated]: {
      handle (data) {
        const { identityKey } = (data ?? {}) as { identityKey?: unknown }
        authenticate(socket, identityKey)
      },
      refuse: refuseBy(EVENTS.authenticationFailed)
    },

    [EVENTS.joinRoom]: {
      handle (roomId) {
        const room = ownRoom(socket, roomId)
        if (socket.rooms.size >= MAX_ROOMS && !hub.has(socket, room)) throw new ApiError('ERR_TOO_MANY_ROOMS')
        answer(hub.join(socket, room, roomId as string).then(() => () => { socket.emit(EVENTS.joinedRoom, { roomId }) }))
      },
      refuse: refuseBy(EVENTS.joinFailed)
    },

    [EVENTS.leaveRoom]: {
      handle (roomId) {
        hub.leave(socket, ownRoom(socket, roomId))
        answer(Promise.resolve(() => { socket.emit(EVENTS.leftRoom, { roomId }) }))
      },
      refuse: refuseBy(EVENTS.leaveFailed)
    },

    [EVENTS.sendMessage]: {
      handle (data) {
        answer(send(data).then(refusal => () => { answerSend(data, refusal) }))
      },
      refuse (data, error) {
        const refusal = toRefusal(error)
        answer(Promise.resolve(() => { answerSend(data, refusal) }))
      }
    }
  }

  /** Stores a message; resolves with what was wrong with it, or nothing. Begins at once. */
  async function send (data: unknown): Promise<ApiError | undefined> {
    try {
      await mailbox.send(socket.identityKey!, parseLiveSend(data))
      return undefined
    } catch (error) {
      return toRefusal(error)
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

  const admit = inOrder(perIdentity)
  for (const [eventName, { handle, refuse }] of Object.entries(handlers)) {
    const attempt = (data: unknown): void => {
      try {
        handle(data)
      } catch (error) {
        refuse(data, error)
      }
    }
    socket.on(eventName, admit === undefined ? attempt : data => {
      socket.hold(admit(socket.identityKey!).then(() => { attempt(data) }, (error: unknown) => { refuse(data, error) }))
    })
  }
  socket.on('identified', opening => {
    if (opening as Opening === 'named') authenticate(socket, socket.claimedKey)
    if (opening as Opening === 'silence') hub.joinEverything(socket, socket.identityKey!)
  })
  socket.on('disconnect', () => { hub.drop(socket) })
}

/** Counts events one after the other, so that they are handled in the order in which they came; undefined where none are counted. */
function inOrder (limiter: RateLimiter): ((identityKey: string) => Promise<void>) | undefined {
  if (limiter === unlimited) return undefined
  let before: Promise<unknown> = Promise.resolve()
  return async identityKey => {
    const mine = before.then(async () => { await limiter.consume(identityKey) })
    before = mine.catch(() => {})
    await mine
  }
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
