/** Verifies strangers' transactions off the event loop, within bounds of time, of memory, and of how many wait. */
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ApiError } from '../errors'
import { FairLine } from '../fairLine'
import type { Verdict, Verified } from './verify'

/** How long one may take, in milliseconds; up to three seconds of it may be the headers'. */
const TIMEOUT = 6000
/** In MiB. */
const MEMORY = 256
/** How many may wait for their turn, in all and of one owner. */
const MAX_WAITING = 200
const MAX_OWN_WAITING = 20

export class TransactionVerifier<Kind extends keyof Verified> {
  #worker: Worker | undefined
  readonly #line = new FairLine()

  /**
   * @param kind what the transactions are, and so what is told of them
   * @param chaintracksUrl where proofs are checked; undefined where scripts alone count
   */
  constructor (private readonly kind: Kind, private readonly chaintracksUrl: string | undefined) {}

  /**
   * Verifies a transaction: its scripts, its amounts, its proofs, and that nothing is spent twice.
   * @param owner whose it is: owners take turns
   * @throws ApiError ERR_SERVER_BUSY
   */
  async verify (owner: string, bytes: Buffer): Promise<Verdict<Verified[Kind]>> {
    if (this.#line.size >= MAX_WAITING || this.#line.sizeOf(owner) >= MAX_OWN_WAITING) throw new ApiError('ERR_SERVER_BUSY')
    return await this.#line.run(owner, async () => await this.#ask(bytes))
  }

  async close (): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
  }

  async #ask (bytes: Buffer): Promise<Verdict<Verified[Kind]>> {
    const worker = this.#worker ??= this.#start()
    return await new Promise(resolve => {
      const settle = (verdict: Verdict<Verified[Kind]>, end: boolean): void => {
        clearTimeout(timer)
        worker.off('message', onVerdict).off('error', onError).off('exit', onExit)
        if (end) {
          this.#worker = undefined
          void worker.terminate()
        }
        resolve(verdict)
      }
      const onVerdict = (verdict: Verdict<Verified[Kind]>): void => { settle(verdict, false) }
      const onError = (error: NodeJS.ErrnoException): void => {
        settle(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? { invalid: 'it takes too much memory to check' } : { unavailable: `the thread that verifies failed: ${error.message}` }, true)
      }
      const onExit = (): void => { settle({ unavailable: 'the thread that verifies has ended' }, true) }
      const timer = setTimeout(() => { settle({ invalid: 'it takes too long to check' }, true) }, TIMEOUT)
      worker.on('message', onVerdict).on('error', onError).on('exit', onExit)
      worker.postMessage({ kind: this.kind, bytes })
    })
  }

  #start (): Worker {
    // As TypeScript in development, where a thread does not inherit what loads it.
    const compiled = __filename.endsWith('.js')
    const worker = new Worker(join(__dirname, compiled ? 'verifyWorker.js' : 'verifyWorker.ts'), {
      workerData: { chaintracksUrl: this.chaintracksUrl },
      resourceLimits: { maxOldGenerationSizeMb: MEMORY },
      execArgv: compiled ? [] : ['-r', require.resolve('ts-node/register/transpile-only')]
    })
    worker.unref()
    // Nobody waits for an error that comes between two payments; without a listener it would end the process.
    worker.on('error', () => {})
    worker.on('exit', () => { if (this.#worker === worker) this.#worker = undefined })
    return worker
  }
}
