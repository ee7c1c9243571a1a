/** A server as a process of its own, on a core of its own where the system can. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { DatabaseConfig, FlatEnv } from '../src/config'
import { freePort } from '../tools/programs/freePort'
import { UNMETERED } from '../tools/servers/unmetered'

/** What runs: this checkout's server, with its own authentication or with others in its place, or that of another folder. */
export type Arrangement = keyof typeof PROGRAMS | { folder: string }

export interface ServerProcess {
  port: number
  pid: number
  /** The end of what it wrote. */
  log: () => string
  stop: () => Promise<void>
}

const ROOT = join(__dirname, '..')
const EMBEDDED = [
  '-r',
  require.resolve('ts-node/register/transpile-only'),
  join(ROOT, 'bench', 'stockServer.ts'),
]
/** Ours is what `npm start` runs. The others embed the same compiled server. */
const PROGRAMS = {
  ours: [programOf(ROOT)],
  stock: [...EMBEDDED, 'stock'],
  proto: [...EMBEDDED, 'proto'],
}
const START_TIMEOUT = 30_000
const STOP_TIMEOUT = 5000

/**
 * @param core the core to keep it on; anywhere where undefined
 * @param settings further ones, that win over those that every server of a benchmark has
 */
export async function startServer(
  arrangement: Arrangement,
  database: DatabaseConfig,
  core: string | undefined,
  settings: FlatEnv = {},
): Promise<ServerProcess> {
  const command = [
    process.execPath,
    ...(typeof arrangement === 'string' ? PROGRAMS[arrangement] : [programOf(arrangement.folder)]),
  ]
  if (core !== undefined) command.unshift('taskset', '-c', core)
  const port = await freePort()
  const child = spawn(command[0]!, command.slice(1), {
    // Away from any .env, and with nothing of the caller's environment that could configure the server.
    cwd: tmpdir(),
    env: {
      PATH: process.env.PATH,
      TS_NODE_PROJECT: join(ROOT, 'tsconfig.json'),
      NODE_ENV: 'production',
      PORT: String(port),
      ENABLE_WEBSOCKETS: 'true',
      LOG_LEVEL: 'warn',
      // A page of 5 MB is measured, which is more than a page has by default.
      MAX_PAGE_BYTES: '8mb',
      ...UNMETERED,
      SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'),
      KNEX_DB_CLIENT: database.client,
      KNEX_DB_CONNECTION: JSON.stringify(database.connection),
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log = keepLog(child)
  await listening(child, port, log)
  return {
    port,
    pid: child.pid!,
    log,
    stop: async () => {
      await stop(child)
    },
  }
}

function keepLog(child: ChildProcess): () => string {
  let output = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('latin1')).slice(-2000)
    })
  return () => output
}

/** Waits until the server answers. */
async function listening(child: ChildProcess, port: number, log: () => string): Promise<void> {
  const end = Date.now() + START_TIMEOUT
  for (;;) {
    const reason =
      child.exitCode !== null || child.signalCode !== null
        ? 'ended'
        : Date.now() > end
          ? 'did not start in time'
          : undefined
    if (reason !== undefined) {
      child.kill('SIGKILL')
      throw new Error(`A server ${reason}:\n${log()}`)
    }
    if (
      await fetch(`http://127.0.0.1:${port}/health`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return
    await pause(20)
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT)
  await exited
  clearTimeout(timer)
}

function programOf(folder: string): string {
  return join(folder, 'dist', 'src', 'main.js')
}
