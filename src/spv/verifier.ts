/**
 * Verifies untrusted transactions in a process of its own, within limits of time, memory and queue
 * length.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { ApiError } from '../contract/errors'
import { FairQueue } from '../lib/fairQueue'
import type { RateLimiter } from '../limits/rates'
import type { Phase, Verdict, Verified } from './verify'

/** The most time that each phase may take. */
const TIMEOUTS_MS: Record<Phase, number> = { transaction: 1000, headers: 4000, scripts: 1000 }
const START_TIMEOUT_MS = 10_000
const MAX_HEAP_MIB = 256
/** Transactions of one owner that may wait. */
const MAX_OWN_WAITING = 20
/** If more than this wait in total, an owner may have one waiting. */
const MAX_WAITING = 200
const MAX_OWNERS_WAITING = 1000
/** After a process was killed, a spare one stands by for this time: a start takes a second. */
const STANDBY_MS = 60_000

/** A message of the process: it is ready, it begins a phase, or it has a verdict. */
export type Report<T> = { ready: true } | { phase: Phase } | { verdict: Verdict<T> }

export class TransactionVerifier<Kind extends keyof Verified> {
  #worker: Worker | undefined
  #standby: Worker | undefined
  #standbyTimer: NodeJS.Timeout | undefined
  readonly #queue = new FairQueue()
  #closed = false

  /**
   * @param kind decides which facts the verdict holds
   * @param chaintracksUrl the block header service; undefined to verify scripts without proofs
   * @param time limits the milliseconds a minute that an owner's transactions may take
   */
  constructor(
    private readonly kind: Kind,
    private readonly chaintracksUrl: string | undefined,
    private readonly time: RateLimiter,
  ) {}

  /**
   * Verifies the scripts, amounts and proofs of a transaction, and that it spends nothing twice.
   * @param owner the address that the transaction comes from: addresses take turns
   * @throws ApiError ERR_SERVER_BUSY, ERR_RATE_LIMITED
   */
  async verify(owner: string, bytes: Buffer): Promise<Verdict<Verified[Kind]>> {
    await this.time.consume(owner, 0)
    const own = this.#queue.sizeOf(owner)
    if (
      own >= MAX_OWN_WAITING ||
      (own > 0 && this.#queue.size >= MAX_WAITING) ||
      this.#queue.size >= MAX_OWNERS_WAITING
    )
      throw new ApiError('ERR_SERVER_BUSY')
    return await this.#queue.run(owner, async () => {
      const { verdict, workMs } = await this.#ask(bytes)
      this.time.charge(owner, Math.ceil(workMs))
      return verdict
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#standbyTimer)
    for (const worker of [this.#worker, this.#standby]) worker?.end()
    this.#worker = this.#standby = undefined
  }

  async #ask(bytes: Buffer): Promise<Answer<Verified[Kind]>> {
    if (this.#closed) return { verdict: { unavailable: 'this server is being stopped' }, workMs: 0 }
    const worker = this.#take()
    const answer = await worker.ask<Verified[Kind]>(this.kind, bytes)
    if (worker.ended) this.#standBy()
    return answer
  }

  /** A running worker. One that failed to start or has ended is replaced. */
  #take(): Worker {
    if (this.#worker?.ended !== false) {
      this.#worker =
        this.#standby?.ended === false ? this.#standby : new Worker(this.chaintracksUrl)
      this.#standby = undefined
    }
    return this.#worker
  }

  /** Many transactions may kill the process; others must not wait for a new one each time. */
  #standBy(): void {
    if (this.#closed) return
    if (this.#standby?.ended !== false) this.#standby = new Worker(this.chaintracksUrl)
    clearTimeout(this.#standbyTimer)
    this.#standbyTimer = setTimeout(() => {
      this.#standby?.end()
      this.#standby = undefined
    }, STANDBY_MS).unref()
  }
}

interface Answer<T> {
  verdict: Verdict<T>
  /** Without the time that the process waited for block headers. */
  workMs: number
}

/** A process, since a thread that runs out of memory ends the whole server. */
class Worker {
  ended = false
  readonly #child: ChildProcess | undefined
  readonly #ready: Promise<void>
  /** Why there is no process. */
  #failure = 'it has ended'

  constructor(chaintracksUrl: string | undefined) {
    this.#child = this.#start(chaintracksUrl)
    this.#ready = this.#becomesReady()
    // `ask` reports a failed start.
    this.#ready.catch(() => {})
  }

  /** Verifies a transaction. Afterwards the worker may have ended. */
  async ask<T>(kind: keyof Verified, bytes: Buffer): Promise<Answer<T>> {
    try {
      await this.#ready
    } catch (error) {
      this.end()
      return {
        verdict: {
          unavailable: `the process that verifies does not start: ${(error as Error).message}`,
        },
        workMs: 0,
      }
    }
    const child = this.#child!
    return await new Promise((resolve) => {
      let timer: NodeJS.Timeout
      let [phase, since, workMs]: [Phase | undefined, number, number] = [
        undefined,
        performance.now(),
        0,
      ]
      const measure = (): void => {
        if (phase !== 'headers') workMs += performance.now() - since
        since = performance.now()
      }
      const settle = (verdict: Verdict<T>): void => {
        clearTimeout(timer)
        measure()
        child.off('message', onMessage).off('error', onError).off('exit', onExit)
        resolve({ verdict, workMs })
      }
      const begin = (next: Phase): void => {
        clearTimeout(timer)
        measure()
        phase = next
        timer = setTimeout(() => {
          this.end()
          settle(
            next === 'headers'
              ? { unavailable: 'block headers take too long to look up' }
              : { invalid: 'it takes too long to check' },
          )
        }, TIMEOUTS_MS[next])
      }
      const onMessage = (report: Report<T>): void => {
        if ('phase' in report) begin(report.phase)
        else if ('verdict' in report) settle(report.verdict)
      }
      const onError = (error: Error): void => {
        this.end()
        settle({ unavailable: `the process that verifies failed: ${error.message}` })
      }
      // Node aborts if there is no memory left.
      const onExit = (_code: number | null, signal: string | null): void => {
        settle(
          signal === 'SIGABRT'
            ? { invalid: 'it takes too much memory to check' }
            : {
                unavailable:
                  'the process that verifies has ended' + (signal === null ? '' : `, by ${signal}`),
              },
        )
      }
      if (this.ended) return onExit(null, null)
      child.on('message', onMessage).on('error', onError).on('exit', onExit)
      begin('transaction')
      child.send({ kind, bytes }, (error) => {
        if (error !== null) onError(error)
      })
    })
  }

  end(): void {
    this.ended = true
    this.#child?.kill('SIGKILL')
  }

  #start(chaintracksUrl: string | undefined): ChildProcess | undefined {
    // In development the process needs a TypeScript loader of its own.
    const compiled = __filename.endsWith('.js')
    try {
      const child = fork(
        join(__dirname, compiled ? 'verifyProcess.js' : 'verifyProcess.ts'),
        chaintracksUrl === undefined ? [] : [chaintracksUrl],
        {
          execArgv: [
            `--max-old-space-size=${MAX_HEAP_MIB}`,
            ...(compiled ? [] : ['-r', join(__dirname, '../../scripts/transpile.js')]),
          ],
          serialization: 'advanced',
          // V8's output before an abort is of no use.
          stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
        },
      )
      child.unref()
      child.channel?.unref()
      // Without a listener, an error between two transactions would end the server.
      child.on('error', () => {
        this.end()
      })
      child.on('exit', () => {
        this.ended = true
      })
      return child
    } catch (error) {
      this.#failure = (error as Error).message
      this.ended = true
      return undefined
    }
  }

  async #becomesReady(): Promise<void> {
    const child = this.#child
    if (child === undefined) throw new Error(this.#failure)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`it is not ready after ${START_TIMEOUT_MS} ms`))
      }, START_TIMEOUT_MS).unref()
      const finish = (settle: () => void) => (): void => {
        clearTimeout(timer)
        settle()
      }
      child.once('message', finish(resolve))
      child.once('error', (error) => {
        finish(() => {
          reject(error)
        })()
      })
      child.once(
        'exit',
        finish(() => {
          reject(new Error(this.#failure))
        }),
      )
    })
  }
}
