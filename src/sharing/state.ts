/** The supervisor's part: it keeps the state that its workers share. */
import { MemoryReplayGuard } from '../auth/replay'
import type { Deliver, Fanout } from '../fanout'
import { MemoryBus } from '../fanout/memory'
import { Counts } from '../limits/rates'
import type { Batch, Request, Wire } from './wire'

/** The most characters of bodies that wait for one worker. Further messages are not passed on. */
const MAX_UNSENT_CHARACTERS = 64 * 1024 * 1024

export class SharedState {
  readonly #bus = new MemoryBus()
  readonly #counts = new Map<string, Counts>()
  readonly #nonces: MemoryReplayGuard

  /** @param windowMs how long a nonce is remembered */
  constructor(windowMs?: number) {
    this.#nonces = new MemoryReplayGuard(windowMs)
  }

  /** Serves a worker. @returns a function to call when the worker has ended */
  serve(wire: Wire): () => void {
    const fanout = this.#bus.join(createOutlet(wire))
    let hasEnded = false
    wire.onMessage((message) => {
      // Messages of a worker may arrive after its end.
      if (hasEnded) return
      const { id, requests } = message as Batch
      const answers = requests.map((request) => this.#answer(request, fanout))
      if (id !== undefined) wire.send({ id, answers })
    })
    return () => {
      hasEnded = true
      fanout.close()
    }
  }

  #answer(request: Request, fanout: Fanout): unknown {
    switch (request[0]) {
      case 'count': {
        const [, name, key, points] = request
        return this.#countsOf(name).add(key, points)
      }
      case 'seen': {
        const [, identityKey, nonce] = request
        return this.#nonces.firstSeen(identityKey, nonce)
      }
      case 'listen':
        void fanout.listen(request[1])
        return true
      case 'unlisten':
        return fanout.unlisten(request[1])
      case 'publish':
        return fanout.publish(request[1])
    }
  }

  #countsOf(name: string): Counts {
    const counts = this.#counts.get(name) ?? new Counts()
    this.#counts.set(name, counts)
    return counts
  }
}

/** Sends the messages of one turn of the event loop together. */
function createOutlet(wire: Wire): Deliver {
  let queue: Parameters<Deliver>[0][] = []
  let queued = 0
  let unsent = 0
  return (message) => {
    const { length } = message.body
    if (unsent + length > MAX_UNSENT_CHARACTERS) return
    unsent += length
    queued += length
    if (queue.push(message) > 1) return
    setImmediate(() => {
      const [published, sending] = [queue, queued]
      queue = []
      queued = 0
      wire.send({ published }, () => {
        unsent -= sending
      })
    })
  }
}
