/**
 * The events of the socket. Each is declared once: handlers and the AsyncAPI document derive from
 * this table.
 */
import { authenticate } from './authenticate'
import { deliver, send } from './messages'
import { join, leave } from './rooms'
import type { ClientEvent, EventOperation } from './event'

export const CLIENT_EVENTS: ClientEvent[] = [authenticate, join, leave, send]

export const SERVER_EVENTS: EventOperation[] = [deliver]
