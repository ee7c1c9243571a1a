import { randomBytes, randomUUID } from 'node:crypto'
import { LightSocket } from '../tools/clients/lightSocket'
import { encryptedBody } from './messages'

/** How many handshakes run at once. */
const MAX_HANDSHAKES_AT_ONCE = 25
/** A message counts as lost if nothing arrives for so many milliseconds. */
const SILENCE_TIMEOUT_MS = 30_000

/** A sender, a room with its listeners, and idle sockets. */
export class Room {
  #delivered: () => void = () => {}

  private constructor(
    private readonly sender: LightSocket,
    private readonly listeners: LightSocket[],
    private readonly idle: LightSocket[],
  ) {
    for (const { raw } of listeners) {
      // From here on, frames are only counted, so that the load leaves the CPU to the server.
      raw.off('authMessage').on('authMessage', () => {
        this.#delivered()
      })
    }
    sender.raw.off('authMessage')
  }

  static async open(
    port: number,
    { listeners, idle }: { listeners: number; idle: number },
  ): Promise<Room> {
    const origin = `http://127.0.0.1:${port}`
    const key = randomBytes(32)
    const sender = await new LightSocket(origin).authenticate()
    return new Room(
      sender,
      await openMany(listeners, async () => await join(origin, key)),
      await openMany(idle, async () => await join(origin)),
    )
  }

  sign(count: number): object[] {
    const { identityKey: recipient } = this.listeners[0]!
    return Array.from({ length: count }, () =>
      this.sender.sign({
        eventName: 'sendMessage',
        data: {
          roomId: `${recipient}-inbox`,
          message: { messageId: randomUUID(), recipient, body: encryptedBody(300) },
        },
      }),
    )
  }

  /** @returns how many seconds it took until every listener had every message */
  async deliver(frames: object[], inFlight: number): Promise<number> {
    const audience = this.listeners.length
    let sent = 0
    let heard = 0
    const started = performance.now()
    const send = (): void => {
      if (sent < frames.length) this.sender.raw.emit('authMessage', frames[sent++])
    }
    await new Promise<void>((resolve, reject) => {
      const giveUp = setTimeout(() => {
        reject(new Error(`of ${frames.length * audience} deliveries ${heard} arrived, and no more`))
      }, SILENCE_TIMEOUT_MS)
      this.#delivered = () => {
        heard++
        giveUp.refresh()
        if (heard === frames.length * audience) {
          clearTimeout(giveUp)
          resolve()
        } else if (heard % audience === 0) {
          send()
        }
      }
      for (let i = 0; i < inFlight; i++) send()
    })
    return (performance.now() - started) / 1000
  }

  close(): void {
    for (const socket of [this.sender, ...this.listeners, ...this.idle]) socket.close()
  }
}

async function openMany(count: number, open: () => Promise<LightSocket>): Promise<LightSocket[]> {
  const sockets: LightSocket[] = []
  while (sockets.length < count) {
    sockets.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(MAX_HANDSHAKES_AT_ONCE, count - sockets.length) }, open),
      )),
    )
  }
  return sockets
}

async function join(origin: string, key?: Buffer): Promise<LightSocket> {
  const socket = await new LightSocket(origin, { ...(key !== undefined && { key }) }).authenticate()
  socket.emit('joinRoom', `${socket.identityKey}-inbox`)
  await socket.next('joinedRoom')
  return socket
}
