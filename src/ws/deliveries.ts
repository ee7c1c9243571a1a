/**
 * Sends messages to many sockets in slices, and lets recipients take turns, so that nothing else
 * waits for long.
 */
import type { ByteAccount } from '../limits/budget'
import type { IdentityKey } from '../contract/protocol'
import type { AuthSocket } from './authSocket'
import type { EncodedEvent } from './eventCodec'

/** How many events are sent in one turn of the event loop; fewer if they are large. */
const SLICE_EVENTS = 16
const SLICE_CHARACTERS = 1024 * 1024
/**
 * How many messages of one recipient may wait. Further ones are not sent live: they are in the box.
 */
const MAX_WAITING = 1000

export type Delivery = [socket: AuthSocket, event: EncodedEvent]

/** A message that some sockets have not been sent. */
interface Job {
  left: number
  account: ByteAccount
}

/**
 * What waits for one recipient's sockets. A socket gets all of its events at once, in order, and
 * writes them together.
 */
interface Waiting {
  jobs: number
  sockets: Map<AuthSocket, Array<{ event: EncodedEvent; job: Job }>>
}

export class Deliveries {
  /** The recipients take turns in the order of this map. */
  readonly #waiting = new Map<IdentityKey, Waiting>()
  #scheduled = false

  /** @param openAccount opens an account of the memory for what is sent */
  constructor(private readonly openAccount: (owners: string[]) => ByteAccount) {}

  /** @returns whether the events are sent, now or in a later turn */
  add(recipient: IdentityKey, deliveries: Delivery[]): boolean {
    const waiting = this.#waiting.get(recipient) ?? { jobs: 0, sockets: new Map() }
    if (waiting.jobs === 0 && deliveries.length <= SLICE_EVENTS) {
      for (const [socket, event] of deliveries) socket.send(event)
      return true
    }
    if (waiting.jobs >= MAX_WAITING) return false
    const job = this.#open(recipient, deliveries)
    if (job === undefined) return false
    waiting.jobs++
    for (const [socket, event] of deliveries) {
      const events = waiting.sockets.get(socket)
      if (events === undefined) waiting.sockets.set(socket, [{ event, job }])
      else events.push({ event, job })
    }
    this.#waiting.set(recipient, waiting)
    this.#schedule()
    return true
  }

  /** @returns undefined if the recipient's share of the memory is used up */
  #open(recipient: IdentityKey, deliveries: Delivery[]): Job | undefined {
    const account = this.openAccount([recipient])
    try {
      account.resize(
        [...new Set(deliveries.map(([, event]) => event))].reduce(
          (sum, { payload }) => sum + payload.length,
          0,
        ),
      )
      return { left: deliveries.length, account }
    } catch {
      return undefined
    }
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#takeTurn()
      if (this.#waiting.size > 0) this.#schedule()
    })
  }

  #takeTurn(): void {
    const [recipient, waiting] = this.#waiting.entries().next().value as [IdentityKey, Waiting]
    this.#waiting.delete(recipient)
    sendSlice(waiting)
    if (waiting.sockets.size > 0) this.#waiting.set(recipient, waiting)
  }
}

function sendSlice(waiting: Waiting): void {
  let count = 0
  let characters = 0
  for (const [socket, events] of waiting.sockets) {
    while (events.length > 0) {
      if (count >= SLICE_EVENTS || characters >= SLICE_CHARACTERS) return
      const { event, job } = events.shift()!
      count++
      if (!socket.ended) {
        characters += event.payload.length
        socket.send(event)
      }
      if (--job.left > 0) continue
      job.account.close()
      waiting.jobs--
    }
    waiting.sockets.delete(socket)
  }
}
