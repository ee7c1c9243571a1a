import type { ApiError } from '../../contract/errors'
import type { JsonSchema } from '../../contract/schema'
import type { Mailbox } from '../../mailbox'
import type { AuthSocket } from '../authSocket'
import type { Hub } from '../hub'

/** An event as the AsyncAPI document describes it. */
export interface EventMessage {
  /** The event's name; `{roomId}` stands for the name of a room. */
  name: string
  /** Its key in the document, if that is not the name. */
  id?: string
  summary?: string
  payload: JsonSchema
  example?: unknown
}

/** What an event does, as the document says it. */
export interface EventOperation {
  /** The operation's key in the document. */
  id: string
  summary: string
  message: EventMessage
}

export interface Reply {
  event: string
  data: unknown
}

/** What a handler works with. */
interface SocketSession {
  socket: AuthSocket
  mailbox: Mailbox
  hub: Hub
}

/** An event that clients send: what it means, and how the server handles it. */
export interface ClientEvent extends EventOperation {
  replies: EventMessage[]
  /**
   * Handles the event. Replies leave in the order of the events, however long each takes.
   * @throws ApiError
   */
  handle: (data: unknown, session: SocketSession) => Promise<Reply[]>
  /** The replies that tell the client of an error. */
  toErrorReplies: (data: unknown, error: ApiError) => Reply[]
}

/** References to the schemas that several events share; see `asyncapi.ts`. */
export const IDENTITY_KEY: JsonSchema = { $ref: '#/components/schemas/IdentityKey' }
export const ROOM: JsonSchema = { $ref: '#/components/schemas/Room' }
export const ROOM_REPLY: JsonSchema = { $ref: '#/components/schemas/RoomAnswer' }
export const REASON: JsonSchema = { $ref: '#/components/schemas/Refusal' }

export const EXAMPLE_KEY = '028d37b941208cd6b8a4c28288eda5f2f16c2b3ab0fcb6d13c18b47fe37b971fc1'
export const EXAMPLE_ROOM = `${EXAMPLE_KEY}-payment_inbox`

/** Creates replies with the reason of an error. */
export function failWith({ name }: EventMessage): ClientEvent['toErrorReplies'] {
  return (_data, { message }) => [{ event: name, data: { reason: message } }]
}
