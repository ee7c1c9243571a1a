/**
 * Frames that are too large to be looked at. What their client has to be told stands at their beginning: the released
 * clients name the event, the room and the id before the body. It is not verified, and decides nothing but that.
 */
import { AUTH_MESSAGE } from '../contract/protocol'

/** The type of the message that takes the place of such a frame. */
export const OVERSIZED = 'oversized'

/** How much of a frame is looked at, in characters. */
const HEAD_CHARACTERS = 4096
const PAYLOAD_CHARACTERS = 8192
const EVENT_PACKET = new RegExp(`^2(?:/[^,]*,)?\\d*\\["${AUTH_MESSAGE}",\\{`)
const PAYLOAD = '"payload":['

/** @returns the packet with the beginning of its payload alone; one that has none is no packet of this protocol */
export function toOversized(packet: string): string {
  const head = packet.slice(0, HEAD_CHARACTERS)
  const [start] = EVENT_PACKET.exec(head) ?? []
  const payload = head.indexOf(PAYLOAD) + PAYLOAD.length
  if (start === undefined || payload < PAYLOAD.length) return ''
  const numbers = packet.slice(payload, payload + PAYLOAD_CHARACTERS)
  return `${start}"messageType":"${OVERSIZED}","payload":[${numbers.slice(0, numbers.lastIndexOf(','))}]}]`
}

/** What an event is about, read from the beginning of its payload. */
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
