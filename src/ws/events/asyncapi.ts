import { AUTH_MESSAGE } from '../../contract/protocol'
import { fieldsOf, type JsonSchema } from '../../contract/schema'
import { ROOM, type ClientEvent, type EventMessage, type EventOperation } from './event'
import { CLIENT_EVENTS, SERVER_EVENTS } from './index'

const DESCRIPTION = `\
Live messages over Socket.IO, on the port of the HTTP API, if ENABLE_WEBSOCKETS=true.

The only raw event, in both directions, is \`authMessage\`. It carries BRC-103 messages: a
handshake (\`initialRequest\`, \`initialResponse\`), then \`general\` messages, each signed by its
sender. The payload of a general message is the UTF-8 JSON of \`{"eventName","data"}\`. This
document describes these inner events. @bsv/authsocket-client and the live methods of
@bsv/message-box-client implement all of this.

A room is a box as the socket names it: \`{identityKey}-{messageBox}\`. The key contains no
hyphen. The name of the box is everything after the first hyphen, further hyphens included.

Rooms belong to a connection on which their owner has proven its identity. After the argument of
each event the server appends a text, as Socket.IO's connection state recovery does. Socket.IO
clients send the last one as \`offset\`, with the \`pid\` of the connection, when they connect
again. The text contains the joined rooms, sealed. The server opens them again when the same
identity has answered a handshake on the new connection.
`

const CHANNEL = { $ref: '#/channels/socket' }

export interface Reference {
  $ref: string
}

export interface EventsDocument {
  info: { title: string; description: string }
  channels: { socket: { address: string; messages: Record<string, Reference> } }
  operations: Record<string, Operation>
  components: { messages: Record<string, MessageDocument>; schemas: Record<string, JsonSchema> }
}

interface Operation {
  action: 'receive' | 'send'
  channel: Reference
  summary: string
  messages: Reference[]
  reply?: { channel: Reference; messages: Reference[] }
}

export interface MessageDocument {
  name: string
  summary?: string
  payload: JsonSchema
  examples?: Array<{ payload: unknown }>
}

/** The AsyncAPI 3 document of the socket's events. */
export function createEventsDocument(): EventsDocument {
  const messages = [
    ...CLIENT_EVENTS.flatMap(({ message, replies }) => [message, ...replies]),
    ...SERVER_EVENTS.map(({ message }) => message),
  ]
  return {
    asyncapi: '3.0.0',
    info: { title: 'MessageBox live messages', version: '0.1.0', description: DESCRIPTION },
    servers: {
      local: {
        host: 'localhost:8080',
        protocol: 'ws',
        pathname: '/socket.io',
        description: 'Namespaces are `/` and, if it is set, ROUTING_PREFIX.',
      },
    },
    defaultContentType: 'application/json',
    channels: {
      socket: {
        address: AUTH_MESSAGE,
        description: 'Inner events of signed general messages.',
        messages: Object.fromEntries(
          messages.map((message) => [
            idOf(message),
            { $ref: `#/components/messages/${idOf(message)}` },
          ]),
        ),
      },
    },
    operations: Object.fromEntries([
      ...CLIENT_EVENTS.map((event) => [event.id, describeClientEvent(event)]),
      ...SERVER_EVENTS.map((event) => [event.id, describeOperation(event, 'send')]),
    ]) as Record<string, Operation>,
    components: {
      messages: Object.fromEntries(
        messages.map((message) => [idOf(message), describeMessage(message)]),
      ),
      schemas: SCHEMAS,
    },
  } as EventsDocument
}

const SCHEMAS: Record<string, JsonSchema> = {
  IdentityKey: {
    type: 'string',
    description: 'A compressed secp256k1 public key in lower-case hex.',
    pattern: '^0[23][0-9a-f]{64}$',
  },
  Room: { type: 'string', description: '{identityKey}-{messageBox}' },
  RoomAnswer: fieldsOf({ roomId: { json: ROOM } }, ['roomId']),
  Refusal: fieldsOf({ reason: { json: { type: 'string' } } }, ['reason']),
}

function describeClientEvent(event: ClientEvent): Operation {
  return {
    ...describeOperation(event, 'receive'),
    reply: { channel: CHANNEL, messages: event.replies.map(referTo) },
  }
}

function describeOperation(
  { summary, message }: EventOperation,
  action: Operation['action'],
): Operation {
  return { action, channel: CHANNEL, summary, messages: [referTo(message)] }
}

function describeMessage({ name, summary, payload, example }: EventMessage): MessageDocument {
  return {
    name,
    ...(summary !== undefined && { summary }),
    payload,
    ...(example !== undefined && { examples: [{ payload: example }] }),
  }
}

function referTo(message: EventMessage): Reference {
  return { $ref: `#/channels/socket/messages/${idOf(message)}` }
}

function idOf({ id, name }: EventMessage): string {
  return id ?? name
}
