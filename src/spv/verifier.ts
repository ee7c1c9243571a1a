/** Verifies transactions of strangers in a process of its own, within bounds of time, of memory, and of how many wait. */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { ApiError } from '../contract/errors'
import { FairQueue } from '../lib/fairQueue'
import type { RateLimiter } from '../limits/rates'
import type { Phase, Verdict, Verified } from './verify'

/** How long each part of the work may take: to read the transaction and to run its scripts, and to look up block headers. */
const TIMEOUTS_MS: Record<Phase, number> = { transaction: 1000, headers: 4000, scripts: 1000 }
/** How long the process may take to start. */
const START_TIMEOUT_MS = 10_000
/** In MiB. */
const MEMORY = 256
/** How many may wait for their turn: of one owner, and in all, beyond which an owner may have one. */
const MAX_OWN_WAITING = 20
const MAX_WAITING = 200
const MAX_OWNERS_WAITING = 1000
/** After a process had to be ended, another one stands by for so long, since to start one takes a second. */
const STANDBY_MS = 60_000

/** What the process says: that it is ready, which part of the work it begins, or what came of it. */
export type Report<T> = { ready: true } | { phase: Phase } | { verdict: Verdict<T> }

export class TransactionVerifier<Kind extends keyof Verified> {
  #worker: Worker | undefined
  #standby: Worker | undefined
  #standbyTimer: NodeJS.Timeout | undefined
  readonly #line = new FairQueue()
  #closed = false

  /**
   * @param kind what the transactions are, and so what is told of them
   * @param chaintracksUrl where proofs are checked; undefined if scripts alone count
   * @param time bounds the milliseconds a minute that an owner's transactions may take
   */
  constructor(
    private readonly kind: Kind,
    private readonly chaintracksUrl: string | undefined,
    private readonly time: RateLimiter,
  ) {}

  /**
   * Verifies a transaction: its scripts, its amounts, its proofs, and that nothing is spent twice.
   * @param owner the address that it comes from: addresses take turns
   * @throws ApiError ERR_SERVER_BUSY, ERR_RATE_LIMITED
   */
  async verify(owner: string, bytes: Buffer): Promise<Verdict<Verified[Kind]>> {
    await this.time.consume(owner, 0)
    const own = this.#line.sizeOf(owner)
    if (
      own >= MAX_OWN_WAITING ||
      (own > 0 && this.#line.size >= MAX_WAITING) ||
      this.#line.size >= MAX_OWNERS_WAITING
    )
      throw new ApiError('ERR_SERVER_BUSY')
    return await this.#line.run(owner, async () => {
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

  /** A worker that lives. One that could not be started, or has ended, is replaced. */
  #take(): Worker {
    if (this.#worker?.ended !== false) {
      this.#worker =
        this.#standby?.ended === false ? this.#standby : new Worker(this.chaintracksUrl)
      this.#standby = undefined
    }
    return this.#worker
  }

  /** Transactions that end the process may come in numbers, and others must not wait each time for a new one. */
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

/** What came of a transaction, and how long the process worked on it: what it waited for block headers is not the owner's. */
interface Answer<T> {
  verdict: Verdict<T>
  workMs: number
}

/** A process, since a thread that runs out of memory takes the whole server with it. */
class Worker {
  ended = false
  readonly #child: ChildProcess | undefined
  readonly #ready: Promise<void>
  /** Why there is no process, if that is so. */
  #failure = 'it has ended'

  constructor(chaintracksUrl: string | undefined) {
    this.#child = this.#start(chaintracksUrl)
    this.#ready = this.#becomesReady()
    // It is asked for when there is work; until then a failure is nothing to report.
    this.#ready.catch(() => {})
  }

  /** What came of a transaction. Afterwards the worker may have ended. */
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
                unavailable: `the process that verifies has ended${signal === null ? '' : `, by ${signal}`}`,
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
    // As TypeScript in development, since a process does not inherit what loads it.
    const compiled = __filename.endsWith('.js')
    try {
      const child = fork(
        join(__dirname, compiled ? 'verifyProcess.js' : 'verifyProcess.ts'),
        chaintracksUrl === undefined ? [] : [chaintracksUrl],
        {
          execArgv: [
            `--max-old-space-size=${MEMORY}`,
            ...(compiled ? [] : ['-r', require.resolve('ts-node/register/transpile-only')]),
          ],
          serialization: 'advanced',
          // What V8 writes before it aborts is of no use.
          stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
        },
      )
      child.unref()
      child.channel?.unref()
      // Between two transactions nothing listens for an error, which would end the server.
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
