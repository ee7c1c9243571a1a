/** A worker's connection to its supervisor. */
import type { Socket } from 'node:net'
import type { Wire } from '../sharing/wire'
import {
  stopReading,
  type Assignment,
  type ToSupervisor,
  type ToWorker,
  type UpgradeRequest,
} from './protocol'

type Kind = ToWorker['kind']
type Listener<K extends Kind> = (
  message: Extract<ToWorker, { kind: K }>,
  connection: Socket | undefined,
) => void

export class Worker {
  readonly #listeners = new Map<Kind, Listener<Kind>>()

  constructor(readonly assignment: Assignment) {
    process.on('message', (message: ToWorker, connection?: Socket) => {
      const listener = this.#listeners.get(message.kind)
      if (listener === undefined) connection?.destroy()
      else listener(message as never, connection)
    })
  }

  get number(): number {
    return this.assignment.number
  }

  /** Whether it does what only one process of a server does: retention, payments, advertising. */
  get isFirst(): boolean {
    return this.number === 1
  }

  /** Leads to the state that the workers share. */
  readonly wire: Wire = {
    send: (message) => {
      this.tell({ kind: 'shared', message })
    },
    onMessage: (listener) => {
      this.on('shared', ({ message }) => {
        listener(message)
      })
    },
  }

  tell(message: ToSupervisor): void {
    // If the supervisor has ended, this process is about to end.
    process.send!(message, undefined, undefined, () => {})
  }

  /** Sets what to do with messages of a kind. */
  on<K extends Kind>(kind: K, listener: Listener<K>): void {
    this.#listeners.set(kind, listener as never)
  }

  /** Gives a connection that is to become a WebSocket to another worker. */
  handOver(to: number, request: UpgradeRequest, connection: Socket): void {
    // Otherwise Node would let this server's stop wait for the connection in the other process.
    Object.assign(connection, { server: null })
    stopReading(connection)
    const message: ToSupervisor = { kind: 'upgrade', to, request }
    process.send!(message, connection, undefined, () => {
      connection.destroy()
    })
  }
}
