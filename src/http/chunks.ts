import type { IncomingMessage, ServerResponse } from 'node:http'
import { Slots } from '../limits/slots'

/** How many bodies in chunks of one address are read at once. Node takes up to 20 ms for 64 KiB in chunks of one byte. */
const AT_ONCE = 4

/** Lets addresses take turns with bodies in chunks, which cost far more to read than their bytes tell. */
export class ChunkTurns {
  readonly #slots = new Slots(AT_ONCE)

  /** Begins the work for a request: at once, or, if its body comes in chunks, when few others of the address do. */
  run(address: string, req: IncomingMessage, res: ServerResponse, begin: () => void): void {
    if (req.headers['transfer-encoding'] === undefined) return begin()
    req.socket.pause()
    void this.#slots.run(address, async () => {
      if (req.socket.destroyed) return
      const arrived = new Promise<void>((resolve) => {
        req.once('end', resolve).once('close', resolve)
        res.once('close', resolve)
      })
      req.socket.resume()
      begin()
      await arrived
    })
  }
}
