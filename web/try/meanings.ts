/** Explains each request and event. */

const REQUESTS: Record<string, string> = {
  '/info': 'Version, limits and features of the server. They are public, so nothing is signed.',
  '/.well-known/auth':
    'The handshake: each side sends its key and a new nonce, and the server signs both nonces. ' +
    'They name the session.',
  '/sendMessage':
    'Stores a message. Its body is encrypted for the recipient: the server cannot read it.',
  '/listMessages': 'Lists one of your boxes. Bodies are encrypted; your browser decrypts them.',
  '/acknowledgeMessage': 'Acknowledges a message. The server deletes it.',
  '/permissions/set': 'Sets who may write to your box, and at what price.',
}

export function meaningOfRequest(path: string): string {
  const route = Object.keys(REQUESTS).find((end) => path.endsWith(end))
  return route === undefined ? 'A request to the server.' : REQUESTS[route]!
}

const HANDSHAKES: Record<string, string> = {
  initialRequest: 'Starts the handshake: the key of this side, and a new nonce.',
  initialResponse:
    'Ends the handshake: the key of this side, a nonce of its own, and a signature over both.',
}

export function meaningOfHandshake(messageType: string): string {
  return HANDSHAKES[messageType] ?? 'A message of BRC-103.'
}

const EVENTS: Array<[beginning: string, meaning: string]> = [
  ['authenticated', 'Tells the server the identity of this socket. The signature proves it.'],
  ['authenticationSuccess', 'The server has verified the identity of this socket.'],
  ['authenticationFailed', 'The server could not verify the identity of this socket.'],
  [
    'joinRoom',
    "Asks for the messages of a box. The room's name consists of the owner's key and the box.",
  ],
  ['joinedRoom', 'From now on you receive messages to that box.'],
  ['joinFailed', 'You do not receive messages to that box; the reason is in the event.'],
  ['leaveRoom', 'Asks for no further messages of that box.'],
  ['leftRoom', 'You no longer receive messages to that box.'],
  ['sendMessageAck-', 'The message is stored, or the reason why it is not.'],
  [
    'sendMessage-',
    'A message arrived in your box. It is in the box as well, until you acknowledge it.',
  ],
  ['sendMessage', 'An encrypted message for the server to store and to deliver.'],
  ['messageFailed', 'The message was not stored; the reason is in the event.'],
]

export function meaningOfEvent(name: string): string {
  return (
    EVENTS.find(([beginning]) =>
      beginning.endsWith('-') ? name.startsWith(beginning) : name === beginning,
    )?.[1] ?? 'An event of the socket.'
  )
}
