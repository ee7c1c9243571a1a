/** Shows the events inside the signed messages of the socket. */
import type { AuthMessage } from '@bsv/sdk'
import { readable, report, type Frame } from './frames'
import { meaningOfEvent, meaningOfHandshake } from './meanings'

/** The part of Socket.IO's client that is used here. */
interface RawSocket {
  onAny: (listener: (event: string, message: AuthMessage) => void) => void
  onAnyOutgoing: (listener: (event: string, message: AuthMessage) => void) => void
  on: (event: string, listener: (reason: unknown) => void) => void
  io: { engine: { transport: { name: string }; on: (event: string, listener: () => void) => void } }
}

/** @param socket from @bsv/authsocket-client. Its private raw socket is only listened to */
export function tapSocket(socket: object): void {
  const { ioSocket } = socket as { ioSocket: RawSocket }
  ioSocket.onAny((_event, message) => {
    report(frameOf('←', message))
  })
  ioSocket.onAnyOutgoing((_event, message) => {
    report(frameOf('→', message))
  })
  ioSocket.on('connect', () => {
    const { engine } = ioSocket.io
    note('connect', `The socket is open, by ${nameOf(engine.transport.name)}.`)
    engine.on('upgrade', () => {
      note('upgrade', `The connection is now ${nameOf(engine.transport.name)}.`)
    })
  })
  ioSocket.on('disconnect', (reason) => {
    note('disconnect', `The socket is closed: ${String(reason)}.`)
  })
}

function note(name: string, meaning: string): void {
  report({ way: '·', name, meaning, parts: [] })
}

function nameOf(transport: string): string {
  return transport === 'websocket' ? 'a WebSocket' : 'polling over HTTP'
}

function frameOf(way: Frame['way'], message: AuthMessage): Frame {
  const { payload, ...envelope } = message
  const around = { heading: 'The signed message', text: readable(shorten(envelope)) }
  if (payload === undefined)
    return {
      way,
      name: message.messageType,
      meaning: meaningOfHandshake(message.messageType),
      parts: [around],
    }
  const { eventName, data } = decode(payload)
  return {
    way,
    name: eventName,
    meaning: meaningOfEvent(eventName),
    parts: [{ heading: 'The event', text: readable(data) }, around],
  }
}

function decode(payload: number[]): { eventName: string; data: unknown } {
  try {
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(payload))) as {
      eventName: string
      data: unknown
    }
  } catch {
    return { eventName: '(unreadable)', data: undefined }
  }
}

/** Shows the signature as hex instead of an array of bytes. */
function shorten({ signature, ...rest }: Omit<AuthMessage, 'payload'>): object {
  return {
    ...rest,
    ...(signature !== undefined && {
      signature: Array.from(signature, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    }),
  }
}
