import { parseLiveSend } from '../../contract/messages'
import { isName } from '../../contract/primitives'
import {
  ackEvent,
  MAX_LIVE_BODY_BYTES,
  MAX_NAME_LENGTH,
  MAX_ROOM_LENGTH,
  messageEvent,
} from '../../contract/protocol'
import { fieldsOf, type JsonSchema } from '../../contract/schema'
import {
  EXAMPLE_KEY,
  EXAMPLE_ROOM,
  IDENTITY_KEY,
  REASON,
  ROOM,
  type ClientEvent,
  type EventMessage,
  type EventOperation,
  type Reply,
} from './event'

const TEXT = { json: { type: 'string' } }
const TIME = { json: { type: 'string', format: 'date-time' } }

const message: JsonSchema = fieldsOf(
  {
    messageId: { json: { type: 'string', minLength: 1, maxLength: MAX_NAME_LENGTH } },
    recipient: { json: { description: 'The owner of the room.', ...IDENTITY_KEY } },
    body: {
      json: {
        description: `Up to ${MAX_LIVE_BODY_BYTES} bytes; larger messages go over HTTP.`,
        type: ['string', 'object'],
      },
    },
  },
  ['messageId', 'recipient', 'body'],
)
const payment: JsonSchema = fieldsOf(
  {
    tx: { json: { description: 'AtomicBEEF', type: ['array', 'string'] } },
    outputs: { json: { type: 'array', items: { type: 'object' } } },
    description: TEXT,
    labels: { json: { type: 'array', items: { type: 'string' } } },
  },
  ['tx', 'outputs'],
  { description: 'The same as over HTTP, if the message costs something.' },
)

const sendMessageAck: EventMessage = {
  id: 'sendMessageAck',
  name: ackEvent('{roomId}'),
  payload: {
    oneOf: [
      fieldsOf({ status: { json: { const: 'success' } }, messageId: TEXT }, [
        'status',
        'messageId',
      ]),
      fieldsOf(
        {
          status: { json: { const: 'error' } },
          code: { json: { type: 'string', examples: ['ERR_DUPLICATE_MESSAGE'] } },
          description: TEXT,
          messageId: TEXT,
        },
        ['status', 'code', 'description'],
      ),
    ],
  },
}
const messageFailed: EventMessage = {
  name: 'messageFailed',
  summary: 'Precedes an acknowledgement with an error, and gives the same reason.',
  payload: REASON,
}

export const send: ClientEvent = {
  id: 'send',
  summary:
    'Store a message. The server replies after the commit, and in the order in which the ' +
    'client sent its messages.',
  message: {
    name: 'sendMessage',
    payload: fieldsOf(
      { roomId: { json: ROOM }, message: { json: message }, payment: { json: payment } },
      ['roomId', 'message'],
    ),
    example: {
      roomId: EXAMPLE_ROOM,
      message: { messageId: 'order-1', recipient: EXAMPLE_KEY, body: 'hello' },
    },
  },
  replies: [sendMessageAck, messageFailed],
  async handle(data, { socket, mailbox }) {
    // No wait before this: messages that arrive together are stored together.
    await mailbox.send(
      { identityKey: socket.identityKey!, address: socket.address },
      parseLiveSend(data),
    )
    const { roomId, messageId } = readNames(data)
    return createAck(roomId, { status: 'success', messageId })
  },
  toErrorReplies(data, error) {
    const { roomId, messageId } = readNames(data)
    return [
      { event: messageFailed.name, data: { reason: error.message } },
      ...createAck(roomId, { ...error.toBody(), messageId }),
    ]
  },
}

/** What the server sends to the sockets in a room. */
export const deliver: EventOperation = {
  id: 'deliver',
  summary:
    'A message that was stored, over the socket or over HTTP; sent to every socket in its room.',
  message: {
    id: 'message',
    name: messageEvent('{roomId}'),
    payload: fieldsOf(
      {
        sender: { json: IDENTITY_KEY },
        messageId: TEXT,
        body: TEXT,
        messageBox: TEXT,
        recipient: { json: IDENTITY_KEY },
        created_at: TIME,
        updated_at: TIME,
      },
      ['sender', 'messageId', 'body', 'messageBox', 'recipient', 'created_at', 'updated_at'],
    ),
  },
}

/**
 * The names that a reply repeats; undefined unless valid: the client may send any value of any
 * size.
 */
function readNames(data: unknown): { roomId?: string | undefined; messageId?: string | undefined } {
  const { roomId, message } = (data ?? {}) as {
    roomId?: unknown
    message?: { messageId?: unknown } | null
  }
  return {
    roomId: typeof roomId === 'string' && roomId.length <= MAX_ROOM_LENGTH ? roomId : undefined,
    messageId: isName(message?.messageId) ? message.messageId : undefined,
  }
}

function createAck(roomId: string | undefined, data: object): Reply[] {
  return roomId === undefined ? [] : [{ event: ackEvent(roomId), data }]
}
