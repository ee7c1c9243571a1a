/** A TCP proxy that simulates failures of a network. */
import net from 'node:net'

/** `refuse` closes the port; `stall` accepts connections and bytes and forwards nothing. */
export type Line = 'up' | 'refuse' | 'stall'

export class TcpProxy {
  readonly #server = net.createServer((socket) => {
    this.#accept(socket)
  })
  readonly #pairs = new Set<[net.Socket, net.Socket]>()
  readonly #lost = new Set<net.Socket>()
  #line: Line = 'up'
  #port = 0

  constructor(private readonly target: { host: string; port: number }) {}

  get port(): number {
    return this.#port
  }

  /** Opens the port, the same one after it was closed. */
  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(this.#port, '127.0.0.1', resolve)
    })
    this.#port = (this.#server.address() as net.AddressInfo).port
  }

  /** Sets the mode. Open connections stay open, but forward nothing in mode `stall`. */
  async set(line: Line): Promise<void> {
    this.#line = line
    for (const [near, far] of this.#pairs) {
      for (const socket of [near, far]) {
        if (line === 'stall') socket.pause()
        else socket.resume()
      }
    }
    if (line === 'refuse')
      await new Promise<void>((resolve) => {
        this.#close(resolve)
      })
    else if (!this.#server.listening) await this.open()
  }

  /** Resets every open connection. New ones follow the mode. */
  cut(): void {
    for (const pair of this.#pairs) pair.forEach((socket) => socket.destroy())
  }

  /** Stops forwarding on every open connection for good, without closing either end. */
  lose(): void {
    for (const pair of this.#pairs) pair.forEach((socket) => this.#lost.add(socket.pause()))
    this.#pairs.clear()
  }

  /** Closes the ends of the clients. Those of the server stay open and receive nothing. */
  abandon(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far).removeAllListeners('close').destroy()
      this.#lost.add(far.unpipe(near).pause())
    }
    this.#pairs.clear()
  }

  #close(done: () => void): void {
    this.#server.close(() => {
      done()
    })
    this.cut()
    this.#lost.forEach((socket) => socket.destroy())
  }

  #accept(near: net.Socket): void {
    const far = net.connect(this.target)
    const pair: [net.Socket, net.Socket] = [near, far]
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      pair.forEach((socket) => socket.destroy())
    }
    pair.forEach((socket) => socket.on('error', end).on('close', end))
    near.pipe(far)
    far.pipe(near)
    if (this.#line === 'stall') pair.forEach((socket) => socket.pause())
  }
}
