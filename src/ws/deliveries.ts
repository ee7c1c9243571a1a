/** Tells many sockets of a message in slices, and lets recipients take turns, so that nothing else waits for long. */
import type { ByteAccount } from '../limits/budget'
import type { IdentityKey } from '../protocol'
import type { AuthSocket } from './authSocket'
import type { EncodedEvent } from './events'

/** So many sockets are told in one turn of the event loop, or fewer if the event is large. */
const SLICE_SOCKETS = 8
const SLICE_CHARACTERS = 1024 * 1024
/** How many messages of one recipient may wait. Others are not told live: they are in their boxes. */
const MAX_WAITING = 1000

export type Delivery = [socket: AuthSocket, event: EncodedEvent]

interface Job {
  deliveries: Delivery[]
  /** How many are done. */
  done: number
  account: ByteAccount
}

export class Deliveries {
  /** The jobs of each recipient, in order. The recipients take turns in the order of this map. */
  readonly #waiting = new Map<IdentityKey, Job[]>()
  #scheduled = false

  /** @param openAccount opens an account of the memory for what is sent */
  constructor (private readonly openAccount: (owners: string[]) => ByteAccount) {}

  /** @returns whether the sockets are told, now or in a moment */
  add (recipient: IdentityKey, deliveries: Delivery[]): boolean {
    const jobs = this.#waiting.get(recipient)
    if (jobs === undefined && deliveries.length <= SLICE_SOCKETS) {
      for (const [socket, event] of deliveries) socket.send(event)
      return true
    }
    if (jobs !== undefined && jobs.length >= MAX_WAITING) return false
    const account = this.openAccount([recipient])
    try {
      account.resize([...new Set(deliveries.map(([, event]) => event))].reduce((sum, { payload }) => sum + payload.length, 0))
    } catch {
      return false
    }
    this.#waiting.set(recipient, [...jobs ?? [], { deliveries, done: 0, account }])
    this.#schedule()
    return true
  }

  #schedule (): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#takeTurn()
      if (this.#waiting.size > 0) this.#schedule()
    })
  }

  #takeTurn (): void {
    const [recipient, [job, ...later]] = this.#waiting.entries().next().value as [IdentityKey, [Job, ...Job[]]]
    this.#waiting.delete(recipient)
    tellSlice(job)
    const left = job.done < job.deliveries.length ? [job, ...later] : later
    if (left === later) job.account.close()
    if (left.length > 0) this.#waiting.set(recipient, left)
  }
}

function tellSlice (job: Job): void {
  let characters = 0
  for (let count = 0; count < SLICE_SOCKETS && characters < SLICE_CHARACTERS && job.done < job.deliveries.length; count++) {
    const [socket, event] = job.deliveries[job.done++]!
    if (socket.ended) continue
    characters += event.payload.length
    socket.send(event)
  }
}
