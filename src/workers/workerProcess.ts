import cluster from 'node:cluster'
import type { Socket } from 'node:net'
import { StartError } from '../contract/errors'
import type { ToSupervisor, ToWorker } from './protocol'

/** A worker has ended as it started, and has said why. */
export class WorkerFailure extends Error {
  constructor(readonly exitCode: number) {
    super(`A worker ended with exit code ${exitCode} as it started.`)
  }
}

export interface Ending {
  code: number | null
  signal: string | null
}

/** A worker, as its supervisor sees it. */
export class WorkerProcess {
  readonly startedAt = performance.now()
  /** What has ended the process. */
  readonly ended: Promise<Ending>
  /**
   * The port. Rejects with a WorkerFailure or a StartError if the process ends before it listens.
   */
  readonly listening: Promise<number>
  isListening = false
  readonly #process

  constructor(
    readonly number: number,
    env: NodeJS.ProcessEnv,
  ) {
    this.#process = cluster.fork(env)
    this.ended = new Promise((resolve) => {
      this.#process.once('exit', (code: number | null, signal: string | null) => {
        resolve({ code, signal })
      })
    })
    this.listening = new Promise((resolve, reject) => {
      this.onMessage((message) => {
        if (message.kind !== 'listening') return
        this.isListening = true
        resolve(message.port)
      })
      void this.ended.then(({ code, signal }) => {
        reject(
          signal === null
            ? new WorkerFailure(code ?? 1)
            : new StartError(`Worker ${number} was ended by ${signal} as it started.`),
        )
      })
    })
  }

  get pid(): number | undefined {
    return this.#process.process.pid
  }

  /** @param onSent called when the message has left this process, or cannot be sent */
  tell(message: ToWorker, connection?: Socket, onSent: () => void = () => {}): void {
    this.#process.send(message, connection, undefined, () => {
      onSent()
    })
  }

  onMessage(listener: (message: ToSupervisor, connection: Socket | undefined) => void): void {
    this.#process.on('message', listener)
  }

  kill(): void {
    this.#process.process.kill('SIGKILL')
  }
}
