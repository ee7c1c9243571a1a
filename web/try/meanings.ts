/** What each exchange and each event is for, for somebody who sees it the first time. */

const REQUESTS: Record<string, string> = {
  '/info': 'What the server says of itself. It tells anybody, so nothing is signed.',
  '/.well-known/auth':
    'The handshake: each side names its key and a fresh nonce, and the server signs. The nonces name the session.',
  '/sendMessage':
    'Stores a message. Its body is encrypted for the recipient: the server cannot read it.',
  '/listMessages':
    'Asks what is in one of your boxes. Bodies come encrypted; your browser decrypts them.',
  '/acknowledgeMessage': 'Says that you have read a message. The server deletes it.',
  '/permissions/set': 'Sets who may write into a box of yours, and at what price.',
}

export function meaningOfRequest(path: string): string {
  const route = Object.keys(REQUESTS).find((end) => path.endsWith(end))
  return route === undefined ? 'A request to the server.' : REQUESTS[route]!
}

const HANDSHAKES: Record<string, string> = {
  initialRequest: 'The handshake begins: who asks, and a fresh nonce.',
  initialResponse:
    'The handshake ends: who answers, a nonce of its own, and a signature over both.',
}

export function meaningOfHandshake(messageType: string): string {
  return HANDSHAKES[messageType] ?? 'A message of BRC-103.'
}

const EVENTS: Array<[beginning: string, meaning: string]> = [
  ['authenticated', 'Tells the server whose socket this is. The signature proves it.'],
  ['authenticationSuccess', 'The server knows whose socket this is.'],
  ['authenticationFailed', 'The server does not believe whose socket this is.'],
  [
    'joinRoom',
    "Asks to hear what arrives in a box. Its room is named after the owner's key and the box.",
  ],
  ['joinedRoom', 'From now on you hear what arrives in that box.'],
  ['joinFailed', 'You do not hear that box; the reason is in the event.'],
  ['leaveRoom', 'You no longer want to hear that box.'],
  ['leftRoom', 'You no longer hear that box.'],
  ['sendMessageAck-', 'The message is stored, or the reason why not.'],
  [
    'sendMessage-',
    'A message arrived in your box. It is in the box as well, until you acknowledge it.',
  ],
  [
    'sendMessage',
    'A message, encrypted for its recipient, for the server to store and to pass on.',
  ],
  ['messageFailed', 'The message was not stored; the reason is in the event.'],
]

export function meaningOfEvent(name: string): string {
  return (
    EVENTS.find(([beginning]) =>
      beginning.endsWith('-') ? name.startsWith(beginning) : name === beginning,
    )?.[1] ?? 'An event of the socket.'
  )
}
