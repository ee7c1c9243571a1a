/**
 * Frames that are too large to be parsed. The server reads only the beginning, to tell the client
 * which event failed: released clients write the event, the room and the id before the body. It is
 * not verified, and used for nothing else.
 */
import { AUTH_MESSAGE } from '../contract/protocol'

/** The type of the message that replaces such a frame. */
export const OVERSIZED = 'oversized'

/** How much of a frame is read. */
const HEAD_CHARACTERS = 4096
const PAYLOAD_CHARACTERS = 8192
const EVENT_PACKET = new RegExp(`^2(?:/[^,]*,)?\\d*\\["${AUTH_MESSAGE}",\\{`)
const PAYLOAD = '"payload":['

/**
 * Shortens a packet to the beginning of its payload.
 * @returns an empty text if the packet has no payload
 */
export function toOversized(packet: string): string {
  const head = packet.slice(0, HEAD_CHARACTERS)
  const [start] = EVENT_PACKET.exec(head) ?? []
  const payload = head.indexOf(PAYLOAD) + PAYLOAD.length
  if (start === undefined || payload < PAYLOAD.length) return ''
  const numbers = packet.slice(payload, payload + PAYLOAD_CHARACTERS)
  const whole = numbers.slice(0, numbers.lastIndexOf(','))
  return `${start}"messageType":"${OVERSIZED}","payload":[${whole}]}]`
}

/** Reads the event, the room and the message id from the beginning of a payload. */
export function readBeginning(payload: Buffer): { eventName: string; data: object } | undefined {
  const text = payload.toString('utf8')
  const eventName = textOf(text, 'eventName')
  if (eventName === undefined) return undefined
  return {
    eventName,
    data: { roomId: textOf(text, 'roomId'), message: { messageId: textOf(text, 'messageId') } },
  }
}

function textOf(json: string, key: string): string | undefined {
  const [, quoted] = new RegExp(`"${key}":("(?:[^"\\\\]|\\\\.)*")`).exec(json) ?? []
  try {
    return quoted === undefined ? undefined : (JSON.parse(quoted) as string)
  } catch {
    return undefined
  }
}
