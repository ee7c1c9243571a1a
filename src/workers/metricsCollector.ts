import { AggregatorRegistry, Registry } from 'prom-client'
import { endsWithin } from '../lib/timeout'
import type { WorkerProcess } from './workerProcess'

/** A worker that does not answer in this time is shown with its last values. */
const ANSWER_TIMEOUT_MS = 1000

interface Metric {
  type: string
}

interface Collected {
  values: object[]
  /** Called with the next answer. */
  onAnswer: () => void
}

/**
 * The metrics of all workers as those of one server. Counters include workers that have ended:
 * Prometheus would take a smaller sum for a restart, and count all of it again.
 */
export class MetricsCollector {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #workers = new Map<WorkerProcess, Collected>()
  /** The counters of workers that have ended. */
  #ended: object[][] = []
  #collecting: Promise<string> | undefined

  add(worker: WorkerProcess): void {
    const collected: Collected = { values: [], onAnswer() {} }
    this.#workers.set(worker, collected)
    worker.onMessage((message) => {
      if (message.kind !== 'metrics') return
      collected.values = message.values
      collected.onAnswer()
    })
  }

  remove(worker: WorkerProcess): void {
    const values = (this.#workers.get(worker)?.values ?? []) as Metric[]
    this.#ended.push(values.filter(({ type }) => type !== 'gauge'))
    this.#workers.delete(worker)
  }

  async metrics(): Promise<string> {
    return await (this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = undefined
    }))
  }

  async #collect(): Promise<string> {
    await Promise.all(
      [...this.#workers].map(async ([worker, collected]) => {
        const answered = new Promise<void>((resolve) => {
          collected.onAnswer = resolve
        })
        worker.tell({ kind: 'metrics' })
        await endsWithin(answered, ANSWER_TIMEOUT_MS)
      }),
    )
    const present = [...this.#workers.values()].map(({ values }) => values)
    const text = AggregatorRegistry.aggregate([...this.#ended, ...present]).metrics()
    const ended = this.#ended
    const sum = await AggregatorRegistry.aggregate(ended).getMetricsAsJSON()
    // Others may have ended meanwhile.
    this.#ended = [sum, ...this.#ended.slice(ended.length)]
    return await text
  }
}
