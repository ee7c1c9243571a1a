/** The server as a child process, for tests that kill or stop it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { VARIABLES, type FlatEnv } from '../../src/config'
import { UNMETERED } from '../servers/unmetered'

const ROOT = join(__dirname, '..', '..')
/** Runs TypeScript, so that a test needs no build. */
const FROM_SOURCE = [
  '--enable-source-maps',
  '-r',
  join(__dirname, '../../scripts/transpile.js'),
  join(ROOT, 'src', 'main.ts'),
]
const FROM_BUILD = ['--enable-source-maps', join(ROOT, 'dist', 'src', 'main.js')]
const START_DEADLINE = 30_000
/** How much output of a child is kept for error messages, in characters. */
const KEPT_OUTPUT = 1024 * 1024

const children = new Set<Child>()

/** Ends every child that still runs. Test files do this automatically. */
export async function endChildren(): Promise<void> {
  await Promise.all(
    [...children].map(async (child) => {
      await child.end()
    }),
  )
}

// Scripts use these helpers too, and there is no such hook outside of Jest.
const { afterAll } = globalThis as { afterAll?: (work: () => Promise<void>) => void }
afterAll?.(endChildren)
process.on('exit', () => {
  for (const child of children) child.signal('SIGKILL')
})

/** A child process. Its output is kept, to wait for lines and to report failures. */
export class Child {
  output = ''
  readonly #process: ChildProcess
  readonly #closed: Promise<unknown>

  constructor(
    command: string,
    args: string[],
    options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
  ) {
    this.#process = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process.on('error', (error) => {
      this.#keep(String(error))
    })
    this.#process.stdout!.on('data', (chunk) => {
      this.#keep(String(chunk))
    })
    this.#process.stderr!.on('data', (chunk) => {
      this.#keep(String(chunk))
    })
    this.#closed = once(this.#process, 'close').catch(() => {})
    children.add(this)
    void this.#closed.then(() => children.delete(this))
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  get running(): boolean {
    return (
      this.#process.pid !== undefined &&
      this.#process.exitCode === null &&
      this.#process.signalCode === null
    )
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Resolves when the process has ended. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.signal(signal)
    await this.ended()
  }

  /** Waits until the process is gone, and tells what ended it: its exit code, or a signal. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    await this.#closed
    return this.#process.exitCode ?? this.#process.signalCode
  }

  #keep(text: string): void {
    this.output = `${this.output}${text}`.slice(-KEPT_OUTPUT)
  }
}

/**
 * Calls a function until it returns a value.
 * @throws Error with the text of `describe` after the deadline, in milliseconds
 */
export async function eventually<T>(
  ask: () => T | undefined | Promise<T | undefined>,
  describe: () => string,
  deadline = START_DEADLINE,
): Promise<T> {
  const end = Date.now() + deadline
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > end) throw new Error(`${describe()}, after ${deadline} ms`)
    await pause(5)
  }
}

export class ServerProcess {
  readonly #env: FlatEnv
  readonly #program: string[]
  #port = 0
  #child: Child | undefined

  private constructor(env: FlatEnv, build: boolean) {
    this.#env = {
      NODE_ENV: 'test',
      SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'),
      ...UNMETERED,
      ...env,
    }
    this.#program = build ? FROM_BUILD : FROM_SOURCE
  }

  /**
   * Starts a server on a free port and waits until it listens.
   * @param env its settings, without those of `.env`
   * @param build whether to run the output of `npm run build` instead of the sources
   */
  static async start({
    env,
    build = false,
  }: {
    env: FlatEnv
    build?: boolean
  }): Promise<ServerProcess> {
    const server = new ServerProcess(env, build)
    await server.start()
    return server
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get running(): boolean {
    return this.#child?.running === true
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get output(): string {
    return this.#child?.output ?? ''
  }

  /** Starts the server again on the same port and with the same key. */
  async start(): Promise<void> {
    this.#port = await eventually(
      async () => await this.#tryStart(),
      () => `The server cannot have its port ${this.#port} back`,
    )
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#child?.end(signal)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.signal(signal)
  }

  /** Waits until the process is gone, and tells what ended it: its exit code, or a signal. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    return await this.#child!.ended()
  }

  /** The port; undefined if it is taken, which a connection can do for a moment. */
  async #tryStart(): Promise<number | undefined> {
    const child = (this.#child = new Child(process.execPath, this.#program, {
      cwd: ROOT,
      env: this.#environment(),
    }))
    const port = await eventually(
      () => {
        if (!child.running) return child.output.includes('The port is taken') ? 'taken' : 'ended'
        return /"port":(\d+).*"msg":"listening"/.exec(child.output)?.[1]
      },
      () => `The server does not listen:\n${child.output}`,
    )
    if (port === 'ended') throw new Error(`The server ended as it started:\n${child.output}`)
    return port === 'taken' ? undefined : Number(port)
  }

  /** dotenv keeps variables that are set, and the configuration treats empty ones as not set. */
  #environment(): NodeJS.ProcessEnv {
    const unset = Object.fromEntries(VARIABLES.map((name) => [name, '']))
    return { ...process.env, ...unset, ...this.#env, PORT: String(this.#port) }
  }
}
