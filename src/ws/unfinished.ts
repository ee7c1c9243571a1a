/**
 * What connections make the server keep of frames that are not whole yet. Each may be as large as a frame may be, and
 * to begin one costs a client nothing: it is bounded for all together and for each address.
 */
import type { Socket as TcpSocket } from 'node:net'
import { ApiError } from '../errors'

const TOTAL = 256 * 1024 * 1024
const SHARE = 64 * 1024 * 1024

export class Unfinished {
  #total = 0
  readonly #byAddress = new Map<string, number>()

  /**
   * Follows a connection that carries frames; one that takes too much is destroyed.
   * @returns what to call when a frame is whole
   */
  follow (socket: TcpSocket, address: string): () => void {
    let pending = 0
    const whole = (): void => {
      this.#change(address, -pending)
      pending = 0
    }
    socket.on('data', (chunk: Buffer) => {
      pending += chunk.length
      if (!this.#change(address, chunk.length)) socket.destroy()
    })
    socket.once('close', whole)
    return whole
  }

  /**
   * Takes the room for a frame whose length is known beforehand.
   * @returns a function that gives it back
   * @throws ApiError ERR_SERVER_BUSY where there is none left
   */
  take (address: string, bytes: number): () => void {
    const fits = this.#change(address, bytes)
    let taken = bytes
    const release = (): void => {
      this.#change(address, -taken)
      taken = 0
    }
    if (fits) return release
    release()
    throw new ApiError('ERR_SERVER_BUSY')
  }

  /** @returns whether it still fits */
  #change (address: string, bytes: number): boolean {
    this.#total += bytes
    const ofAddress = (this.#byAddress.get(address) ?? 0) + bytes
    if (ofAddress > 0) this.#byAddress.set(address, ofAddress)
    else this.#byAddress.delete(address)
    return this.#total <= TOTAL && ofAddress <= SHARE
  }
}
