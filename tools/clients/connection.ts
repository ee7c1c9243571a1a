/**
 * A fast HTTP/1.1 client: it sends whole requests as Buffers, one at a time, over one connection.
 * The load shares its core with the database, so the client must use little CPU time.
 */
import { connect, type Socket } from 'node:net'

export interface Answer {
  status: number
  /** Status line and headers, unchanged. */
  head: string
  /** Length of the body, in bytes. */
  length: number
  /** The body if `keep` was set or the status is not 200, else empty. */
  body: Buffer
}

const IDLE_TIMEOUT_MS = 60_000
const HEAD_END = Buffer.from('\r\n\r\n')

export class Connection {
  readonly #socket: Socket
  #resolve: ((answer: Answer) => void) | undefined
  #reject: ((error: Error) => void) | undefined
  #keep = false
  #unparsed: Buffer | undefined
  #answer: Answer | undefined
  #parts: Buffer[] = []
  #left = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true).setTimeout(IDLE_TIMEOUT_MS)
    socket.on('data', (chunk) => {
      this.#receive(chunk)
    })
    socket.on('timeout', () =>
      socket.destroy(new Error(`no answer within ${IDLE_TIMEOUT_MS / 1000} s`)),
    )
    socket.on('error', (error) => {
      this.#fail(error)
    })
    socket.on('close', () => {
      this.#fail(new Error('the server closed the connection'))
    })
  }

  /** @param localAddress the address of this machine to connect from */
  static async open(port: number, localAddress?: string): Promise<Connection> {
    return await new Promise((resolve, reject) => {
      const socket = connect({
        host: '127.0.0.1',
        port,
        ...(localAddress !== undefined && { localAddress }),
      })
      socket.once('error', reject).once('connect', () => {
        socket.off('error', reject)
        resolve(new Connection(socket))
      })
    })
  }

  /**
   * Sends a request and waits for its answer.
   * @param keep whether to return the body of the answer
   */
  async exchange(request: Buffer, keep = false): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#keep = keep
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    if (this.#answer !== undefined) return this.#receiveBody(chunk)
    const bytes = this.#unparsed === undefined ? chunk : Buffer.concat([this.#unparsed, chunk])
    const end = bytes.indexOf(HEAD_END)
    this.#unparsed = end < 0 ? bytes : undefined
    if (end < 0) return
    const head = bytes.toString('latin1', 0, end)
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
    if (length === undefined)
      return void this.#socket.destroy(new Error('an answer has no content-length'))
    this.#answer = {
      status: Number(head.slice(9, 12)),
      head,
      length: Number(length),
      body: Buffer.alloc(0),
    }
    this.#left = this.#answer.length
    this.#receiveBody(bytes.subarray(end + HEAD_END.length))
  }

  #receiveBody(chunk: Buffer): void {
    const answer = this.#answer!
    if (this.#keep || answer.status !== 200) this.#parts.push(chunk)
    this.#left -= chunk.length
    if (this.#left > 0) return
    if (this.#left < 0)
      return void this.#socket.destroy(new Error('an answer is longer than it says'))
    if (this.#parts.length > 0) answer.body = Buffer.concat(this.#parts)
    this.#parts = []
    this.#answer = undefined
    const resolve = this.#resolve
    this.#resolve = this.#reject = undefined
    resolve?.(answer)
  }

  #fail(error: Error): void {
    this.#reject?.(error)
    this.#resolve = this.#reject = undefined
  }
}
