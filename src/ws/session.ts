import type { Logger } from 'pino'
import { toApiError, type ApiError } from '../contract/errors'
import type { Mailbox } from '../mailbox'
import type { Metrics } from '../metrics'
import type { AuthSocket } from './authSocket'
import { CLIENT_EVENTS } from './events'
import { createAuthenticationReply } from './events/authenticate'
import type { ClientEvent, Reply } from './events/event'
import { rejoin } from './events/rooms'
import type { Hub } from './hub'
import { ReplyQueue } from './replyQueue'
import type { AuthSocketListener } from './socketHost'

export interface SessionParts {
  mailbox: Mailbox
  hub: Hub
  logger: Logger
  metrics: Metrics
}

const EVENTS_BY_NAME = new Map(CLIENT_EVENTS.map((event) => [event.message.name, event]))

/** Serves a socket's events until its client has gone. */
export function serveSocket(socket: AuthSocket, parts: SessionParts): AuthSocketListener {
  const { logger, metrics, hub, mailbox } = parts
  const session = { socket, hub, mailbox }

  const reportError = (error: unknown): ApiError => {
    const reported = toApiError(error, {
      error(fields, text) {
        logger.error({ socketId: socket.id, ...fields }, text)
      },
    })
    metrics.rejected(reported.code, 'socket')
    return reported
  }

  const handle = async (event: ClientEvent, data: unknown): Promise<Reply[]> => {
    try {
      return await event.handle(data, session)
    } catch (error) {
      return event.toErrorReplies(data, reportError(error))
    }
  }

  const replies = new ReplyQueue(socket, reportError)
  return {
    onEvent(eventName, data) {
      const event = EVENTS_BY_NAME.get(eventName)
      if (event !== undefined) replies.add(handle(event, data))
    },
    onRejected(eventName, data, error) {
      const event = EVENTS_BY_NAME.get(eventName)
      if (event !== undefined)
        replies.add(Promise.resolve(event.toErrorReplies(data, reportError(error))))
    },
    onIdentified(opening) {
      if (opening === 'named')
        replies.add(Promise.resolve([createAuthenticationReply(socket, socket.claimedKey)]))
    },
    onFresh() {
      rejoin(socket, hub).catch(reportError)
    },
    onGone() {
      hub.drop(socket)
    },
  }
}
