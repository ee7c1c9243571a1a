/** What the document says of one operation, and the words that operations share. */
import type { ErrorCode } from '../contract/errors'
import type { JsonSchema } from '../contract/schema'

export interface Answer {
  description: string
  /** Its media type, where that is not JSON. */
  type?: string
  /** Undefined where the answer has no body. */
  schema?: JsonSchema
  /** Bodies, by the name of the example. */
  examples?: Record<string, unknown>
}

export interface OperationDescription {
  method: 'get' | 'post'
  path: string
  id: string
  tag: Tag
  summary: string
  description: string
  /** It needs no proven identity. */
  open?: true
  /** Always at the root, whatever the routing prefix. */
  atRoot?: true
  /** `type` is its media type, where that is not JSON; `limit` is a sentence, where the usual one does not hold. */
  body?: { schema: JsonSchema; examples: Record<string, unknown>; type?: string; limit?: string }
  headers?: Record<
    string,
    { required: boolean; description: string; schema: JsonSchema; example: string }
  >
  /** An object's schema: each property is a parameter of the query. */
  query?: { schema: JsonSchema; examples: Record<string, unknown> }
  /** By status; every one of them is a success. */
  answers: Record<number, Answer>
  /** The codes that it may answer with beside those that all share. */
  errors: readonly ErrorCode[]
  /** Codes that it has in common with some others. */
  shared?: readonly ErrorCode[]
  /** What a program with the released client does, behind `PRELUDE`. */
  sample: string
}

export const TAGS = {
  Messages: 'Send, list and acknowledge.',
  Permissions: 'Who may write into a box, and at what price.',
  Devices: 'Tokens of devices, for push messages.',
  Overlay: 'Who receives messages where, for clients of the overlay network.',
  Authentication: 'The handshake that starts a session.',
  Server: 'What the server is and how it does, for anybody; and its migrations, for its operator.',
} as const

type Tag = keyof typeof TAGS

/** Two valid identity keys for examples. */
export const ALICE = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'
export const BOB = '02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5'

/** The beginning of every sample; the host is put in where it stands. */
export const SAMPLE_HOST = 'http://localhost:8080'
export const PRELUDE = `import { MessageBoxClient } from '@bsv/message-box-client'
import { PrivateKey, ProtoWallet } from '@bsv/sdk'

const host = '${SAMPLE_HOST}'
const wallet = new ProtoWallet(PrivateKey.fromRandom())
// "local" makes the client ask http://localhost:8080 where a recipient's host is, not the overlay network.
const client = new MessageBoxClient({ host, walletClient: wallet, networkPreset: 'local' })
`

/** What a program with the released client does to hear messages, behind `PRELUDE`. */
export const EVENTS_SAMPLE = `let onMessage
const arrival = new Promise(resolve => { onMessage = resolve })
await client.listenForLiveMessages({ messageBox: 'letters', overrideHost: host, onMessage })

const recipient = await client.getIdentityKey()
await client.sendLiveMessage({ recipient, messageBox: 'letters', body: 'To myself, live' }, host)
const { sender, body } = await arrival
console.log(sender, 'writes:', body)
await client.disconnectWebSocket()`
