/** An attacker at an address of its own that writes HTTP and WebSocket by hand. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { newWallet, Session } from '../clients/session'

export class Stranger {
  readonly #sockets = new Set<Socket>()

  /** @param address of the loopback network, such as 127.0.0.9 */
  constructor(
    readonly port: number,
    readonly address: string,
  ) {}

  /**
   * Opens a connection. Errors are ignored, since the server is expected to disconnect.
   * @param allowHalfOpen keeps this side open after the server ends its side
   */
  async open(allowHalfOpen = false): Promise<Socket> {
    const socket = connect({
      host: '127.0.0.1',
      port: this.port,
      localAddress: this.address,
      allowHalfOpen,
    })
    this.#sockets.add(socket)
    socket.setMaxListeners(0).on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
    await Promise.race([
      once(socket, 'connect').catch(() => {}),
      once(socket, 'close').catch(() => {}),
      pause(2000),
    ])
    return socket
  }

  /** Writes, and waits until the data is flushed, the connection has ended, or for 2 seconds. */
  async write(socket: Socket, data: string | Buffer): Promise<void> {
    if (socket.destroyed) return
    if (!socket.write(data))
      await Promise.race([
        once(socket, 'drain').catch(() => {}),
        once(socket, 'close').catch(() => {}),
        pause(2000),
      ])
  }

  /** The first text that the server answers; empty without an answer within 2 seconds. */
  async ask(text: string | Buffer): Promise<string> {
    const socket = await this.open()
    await this.write(socket, text)
    const answer = await Promise.race([
      once(socket, 'data').then(
        ([data]) => String(data),
        () => '',
      ),
      once(socket, 'close').then(
        () => '',
        () => '',
      ),
      pause(2000, ''),
    ])
    socket.destroy()
    return answer
  }

  /** A session of a new identity; undefined if the server rejects the handshake. */
  async session(): Promise<Session | undefined> {
    return await Session.open(this.port, newWallet(), this.address).catch(() => undefined)
  }

  /** A connection upgraded to a WebSocket. */
  async webSocket(query = '', allowHalfOpen = false): Promise<Socket> {
    const socket = await this.open(allowHalfOpen)
    await this.write(
      socket,
      `GET /socket.io/?EIO=4&transport=websocket${query} HTTP/1.1\r\nhost: x\r\n` +
        'connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
        `sec-websocket-key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    )
    await Promise.race([
      once(socket, 'data').catch(() => {}),
      once(socket, 'close').catch(() => {}),
      pause(2000),
    ])
    return socket
  }

  /** Opens a connection by polling. @returns its id */
  async poll(): Promise<string> {
    const answer = await this.ask(
      'GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: x\r\n\r\n',
    )
    return /"sid":"([^"]+)"/.exec(answer)?.[1] ?? 'none'
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** A WebSocket frame, masked with zeros. */
export function frame(
  data: string | Buffer,
  { opcode = 1, fin = true }: { opcode?: number; fin?: boolean } = {},
): Buffer {
  const payload = Buffer.from(data as string)
  const head = Buffer.alloc(payload.length < 126 ? 6 : payload.length < 65536 ? 8 : 14)
  head[0] = (fin ? 0x80 : 0) | opcode
  if (payload.length < 126) {
    head[1] = 0x80 | payload.length
  } else if (payload.length < 65536) {
    head[1] = 0x80 | 126
    head.writeUInt16BE(payload.length, 2)
  } else {
    head[1] = 0x80 | 127
    head.writeBigUInt64BE(BigInt(payload.length), 2)
  }
  return Buffer.concat([head, payload])
}

/** The head of a POST. */
export function post(path: string, headers: Record<string, string | number>): string {
  return `POST ${path} HTTP/1.1\r\nhost: x\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`
}

/** A chunked body with chunks of one byte. */
export function tinyChunks(count: number): Buffer {
  return Buffer.from('1\r\nx\r\n'.repeat(count))
}
