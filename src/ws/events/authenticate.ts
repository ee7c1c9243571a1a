import { toIdentityKey } from '../../contract/primitives'
import { fieldsOf } from '../../contract/schema'
import { AUTHENTICATION_FAILED, type AuthSocket } from '../authSocket'
import {
  EXAMPLE_KEY,
  failWith,
  IDENTITY_KEY,
  REASON,
  type ClientEvent,
  type EventMessage,
  type Reply,
} from './event'

const authenticationSuccess: EventMessage = {
  name: 'authenticationSuccess',
  summary:
    'The server also sends it to a client that names its key in the query or in the auth data ' +
    'of its connection.',
  payload: fieldsOf({ status: { json: { const: 'success' } } }, ['status']),
}
const authenticationFailed: EventMessage = {
  name: AUTHENTICATION_FAILED,
  summary:
    'The named key is missing or is not the proven one. As a plain, unsigned event it answers ' +
    'unsigned events.',
  payload: REASON,
}

export const authenticate: ClientEvent = {
  id: 'authenticate',
  summary:
    'Ask whether this connection is authenticated as a key. The signatures themselves prove ' +
    'the identity.',
  message: {
    name: 'authenticated',
    payload: fieldsOf({ identityKey: { json: IDENTITY_KEY } }, ['identityKey']),
    example: { identityKey: EXAMPLE_KEY },
  },
  replies: [authenticationSuccess, authenticationFailed],
  async handle(data, { socket }) {
    const { identityKey } = (data ?? {}) as { identityKey?: unknown }
    return [createAuthenticationReply(socket, identityKey)]
  },
  toErrorReplies: failWith(authenticationFailed),
}

export function createAuthenticationReply({ identityKey }: AuthSocket, claimedKey: unknown): Reply {
  if (toIdentityKey(claimedKey) === identityKey)
    return { event: authenticationSuccess.name, data: { status: 'success' } }
  const reason =
    'This connection is authenticated as another identity key than the one that was named.'
  return { event: authenticationFailed.name, data: { reason } }
}
