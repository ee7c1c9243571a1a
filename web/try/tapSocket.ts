/** Shows what goes over the socket: the events within the signed messages, decoded. */
import type { AuthMessage } from '@bsv/sdk'
import { readable, report, type Frame } from './frames'
import { meaningOfEvent, meaningOfHandshake } from './meanings'

/** Of Socket.IO's client, what is needed here. */
interface RawSocket {
  onAny: (listener: (event: string, message: AuthMessage) => void) => void
  onAnyOutgoing: (listener: (event: string, message: AuthMessage) => void) => void
  on: (event: string, listener: (reason: unknown) => void) => void
  io: { engine: { transport: { name: string }; on: (event: string, listener: () => void) => void } }
}

/** @param socket what @bsv/authsocket-client made; the raw socket within is nobody's but its own, and is only listened to */
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
      note('upgrade', `The connection has become ${nameOf(engine.transport.name)}.`)
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
  const around = { heading: 'The signed message around it', text: readable(shorten(envelope)) }
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

/** Signatures are arrays of bytes: as hex they are a line. */
function shorten({ signature, ...rest }: Omit<AuthMessage, 'payload'>): object {
  return {
    ...rest,
    ...(signature !== undefined && {
      signature: Array.from(signature, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    }),
  }
}
