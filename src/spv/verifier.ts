/** Verifies strangers' transactions in a process of their own, within bounds of time, of memory, and of how many wait. */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
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
  #child: ChildProcess | undefined
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
    this.#end()
  }

  async #ask (bytes: Buffer): Promise<Verdict<Verified[Kind]>> {
    const child = this.#child ??= this.#start()
    return await new Promise(resolve => {
      const settle = (verdict: Verdict<Verified[Kind]>): void => {
        clearTimeout(timer)
        child.off('message', settle).off('error', onError).off('exit', onExit)
        resolve(verdict)
      }
      const onError = (error: Error): void => { settle({ unavailable: `the process that verifies failed: ${error.message}` }) }
      // Node aborts where there is no memory left.
      const onExit = (_code: number | null, signal: string | null): void => {
        settle(signal === 'SIGABRT' ? { invalid: 'it takes too much memory to check' } : { unavailable: `the process that verifies has ended${signal === null ? '' : `, by ${signal}`}` })
      }
      const timer = setTimeout(() => {
        settle({ invalid: 'it takes too long to check' })
        this.#end()
      }, TIMEOUT)
      child.on('message', settle).on('error', onError).on('exit', onExit)
      child.send({ kind: this.kind, bytes }, error => { if (error !== null) onError(error) })
    })
  }

  #end (): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
  }

  /** A process, since a thread that runs out of memory takes the whole process with it. */
  #start (): ChildProcess {
    // As TypeScript in development, where a process does not inherit what loads it.
    const compiled = __filename.endsWith('.js')
    const child = fork(join(__dirname, compiled ? 'verifyProcess.js' : 'verifyProcess.ts'), this.chaintracksUrl === undefined ? [] : [this.chaintracksUrl], {
      execArgv: [`--max-old-space-size=${MEMORY}`, ...(compiled ? [] : ['-r', require.resolve('ts-node/register/transpile-only')])],
      serialization: 'advanced',
      // What V8 says before it aborts is of no use to anybody.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc']
    })
    child.unref()
    child.channel?.unref()
    // Nobody waits for an error that comes between two transactions; without a listener it would end the server.
    child.on('error', () => {})
    child.on('exit', () => { if (this.#child === child) this.#child = undefined })
    return child
  }
}
