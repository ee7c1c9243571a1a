/** A request with its response, or a socket event. */
export interface Frame {
  /** To the server, from the server, both, or a change of the connection itself. */
  way: '→' | '←' | '⇄' | '·'
  name: string
  /** A sentence on its purpose. */
  meaning: string
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

/** Formats JSON with line breaks. Returns other text unchanged. */
export function readable(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value, null, 2) ?? ''
  try {
    return JSON.stringify(JSON.parse(value), null, 2)
  } catch {
    return value
  }
}
