/**
 * The process that owns the port and starts the workers. It replaces workers that end, keeps what
 * they share, stops them in turn, and serves the metrics of all.
 */
import cluster from 'node:cluster'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Config } from '../config'
import { endsWithin } from '../lib/timeout'
import { MetricsServer } from '../metrics/metricsServer'
import { SharedState } from '../sharing/state'
import { MetricsCollector } from './metricsCollector'
import { stopReading, type Assignment, type UpgradeRequest } from './protocol'
import { WorkerProcess, type Ending } from './workerProcess'

/** The pause before a replacement starts doubles with each worker of its number that ends soon. */
const MIN_RESTART_PAUSE_MS = 100
const MAX_RESTART_PAUSE_MS = 30_000
/** A worker that has run for this long did not end soon. */
const SETTLED_MS = 60_000
/** How long a connection may wait to be handed to a worker. */
const HANDOVER_TIMEOUT_MS = 15_000
/** The part of the time to stop in which all workers begin to stop. */
const TURNS_RATIO = 0.5
/** The part of the time to stop that the workers get, so that they exit before they are killed. */
const WORKERS_RATIO = 0.9

export interface SupervisorParts {
  config: Config
  logger: Logger
  /** Creates the environment of a worker. */
  createEnv: (assignment: Assignment) => NodeJS.ProcessEnv
}

export class Supervisor {
  readonly #state = new SharedState()
  /** Only this user can open it. */
  readonly #folder = mkdtempSync(join(tmpdir(), 'messagebox-workers-'))
  /** By number. */
  readonly #workers = new Map<number, WorkerProcess>()
  /** How many workers of a number have ended soon, in a row. */
  readonly #failures = new Map<number, number>()
  readonly #collector = new MetricsCollector()
  #metrics: MetricsServer | undefined
  /** What the first worker has said of the server's advertisements. */
  #advertising: object | undefined
  #hasStarted = false
  #isStopping = false

  constructor(private readonly parts: SupervisorParts) {
    cluster.schedulingPolicy = cluster.SCHED_RR
    process.once('exit', () => {
      for (const worker of this.#workers.values()) worker.kill()
      rmSync(this.#folder, { recursive: true, force: true })
    })
  }

  /**
   * Starts the workers, the first one before the others: it brings the schema up to date.
   * @returns the port
   * @throws WorkerFailure, StartError if a worker ends before it listens
   */
  async start(): Promise<number> {
    const { metrics, workers } = this.parts.config
    if (metrics.port !== undefined)
      this.#metrics = await MetricsServer.start(this.#collector, { ...metrics, port: metrics.port })
    const port = await this.#startWorker(1)
    const others = Array.from({ length: workers - 1 }, (_value, index) => index + 2)
    await Promise.all(others.map(async (number) => await this.#startWorker(number)))
    this.#hasStarted = true
    return port
  }

  /** The port that Prometheus reads; undefined if metrics are off. */
  get metricsPort(): number | undefined {
    return this.#metrics?.port
  }

  /** Stops the workers in turn. Each begins when the one before has ended, or takes too long. */
  async stop(): Promise<void> {
    this.#isStopping = true
    const { shutdownTimeoutMs } = this.parts.config.http
    const end = performance.now() + shutdownTimeoutMs * WORKERS_RATIO
    const workers = [...this.#workers.values()]
    const turnMs = (shutdownTimeoutMs * TURNS_RATIO) / workers.length
    for (const worker of workers) {
      if (worker.isListening) worker.tell({ kind: 'stop', timeoutMs: end - performance.now() })
      else worker.kill()
      await endsWithin(worker.ended, turnMs)
    }
    await Promise.all(workers.map(async ({ ended }) => await ended))
    await this.#metrics?.close()
  }

  async #startWorker(number: number): Promise<number> {
    const { config, createEnv, logger } = this.parts
    const assignment = { number, count: config.workers, folder: this.#folder }
    const worker = new WorkerProcess(number, createEnv(assignment))
    this.#workers.set(number, worker)
    const forget = this.#serve(worker)
    void worker.ended.then((ending) => {
      forget()
      this.#workers.delete(number)
      if (!this.#isStopping) this.#replace(worker, ending)
    })
    const port = await worker.listening
    this.#collector.add(worker)
    if (this.#advertising !== undefined)
      worker.tell({ kind: 'advertising', state: this.#advertising })
    logger.info({ worker: number, pid: worker.pid }, 'a worker listens')
    return port
  }

  /** @returns a function to call when the worker has ended */
  #serve(worker: WorkerProcess): () => void {
    const leave = this.#state.serve({
      send: (message, onSent) => {
        worker.tell({ kind: 'shared', message }, undefined, onSent)
      },
      onMessage: (listener) => {
        worker.onMessage((message) => {
          if (message.kind === 'shared') listener(message.message)
        })
      },
    })
    worker.onMessage((message, connection) => {
      if (message.kind === 'advertising') this.#showAdvertising(message.state)
      if (message.kind !== 'upgrade' || connection === undefined) return
      const owner = this.#workers.get(message.to)
      // A replacement that still starts has no sessions.
      this.#passUpgrade(owner?.isListening === true ? owner : worker, message.request, connection)
    })
    return () => {
      leave()
      this.#collector.remove(worker)
    }
  }

  #showAdvertising(state: object): void {
    this.#advertising = state
    for (const worker of this.#workers.values()) worker.tell({ kind: 'advertising', state })
  }

  #passUpgrade(to: WorkerProcess, request: UpgradeRequest, connection: Socket): void {
    connection.on('error', () => {
      connection.destroy()
    })
    stopReading(connection)
    // It waits for others, and Node forgets what waits if the worker ends.
    connection.setTimeout(HANDOVER_TIMEOUT_MS, () => {
      connection.destroy()
    })
    to.tell({ kind: 'upgrade', request }, connection, () => {
      connection.destroy()
    })
  }

  /** Starts another worker after a while, unless the server has not started yet. */
  #replace({ number, pid, isListening, startedAt }: WorkerProcess, ending: Ending): void {
    const { logger } = this.parts
    if (!isListening && !this.#hasStarted) return
    const isSoon = performance.now() - startedAt < SETTLED_MS
    const failures = isSoon ? (this.#failures.get(number) ?? 0) + 1 : 1
    this.#failures.set(number, failures)
    const pauseMs = Math.min(MIN_RESTART_PAUSE_MS * 2 ** (failures - 1), MAX_RESTART_PAUSE_MS)
    logger.error(
      { worker: number, pid, ...ending, restartMs: pauseMs },
      isListening ? 'a worker ended' : 'a worker ended as it started',
    )
    setTimeout(() => {
      // If it ends as it starts, the next one replaces it.
      if (!this.#isStopping) this.#startWorker(number).catch(() => {})
    }, pauseMs)
  }
}
