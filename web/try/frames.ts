/** What went over the wire: an exchange over HTTP, or an event of the socket. */
export interface Frame {
  /** From here to the server, from there to here, both, or neither: something about the connection itself. */
  way: '→' | '←' | '⇄' | '·'
  name: string
  /** What it is for, in a sentence. */
  meaning: string
  /** What there is to see, each part under its heading. */
  parts: Array<{ heading: string; text: string }>
}

type Listener = (frame: Frame) => void

const listeners: Listener[] = []

export function onFrame(listener: Listener): void {
  listeners.push(listener)
}

export function report(frame: Frame): void {
  for (const listener of listeners) listener(frame)
}

/** JSON with line breaks; anything else as it is. */
export function readable(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value, null, 2) ?? ''
  try {
    return JSON.stringify(JSON.parse(value), null, 2)
  } catch {
    return value
  }
}
