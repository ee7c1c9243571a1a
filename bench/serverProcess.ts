/** A server in a process of its own, pinned to a core if the system supports it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { DatabaseConfig, FlatEnv } from '../src/config'
import { freePort } from '../tools/programs/freePort'
import { UNMETERED } from '../tools/servers/unmetered'

/** The server of this checkout, with its own or other authentication, or of another checkout. */
export type Arrangement = keyof typeof PROGRAMS | { folder: string }

export interface ServerProcess {
  port: number
  pid: number
  /** The end of its output. */
  log: () => string
  stop: () => Promise<void>
}

const ROOT = join(__dirname, '..')
const FROM_SOURCE = ['-r', join(ROOT, 'scripts', 'transpile.js')]
const EMBEDDED = [...FROM_SOURCE, join(ROOT, 'bench', 'stockServer.ts')]
/**
 * `ours` is what `npm start` runs. `stock` and `proto` embed the same compiled server. `limit` is
 * no server of messages.
 */
const PROGRAMS = {
  ours: [programOf(ROOT)],
  stock: [...EMBEDDED, 'stock'],
  proto: [...EMBEDDED, 'proto'],
  limit: [...FROM_SOURCE, join(ROOT, 'bench', 'limitServer.ts')],
}
const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 5000

/**
 * @param core the core to pin it to, if any
 * @param settings override those of every benchmark server
 * @param profile the folder for a CPU profile of this or another checkout, if wanted
 */
export async function startServer(
  arrangement: Arrangement,
  database: DatabaseConfig | undefined,
  core: string | undefined,
  settings: FlatEnv = {},
  profile?: string,
): Promise<ServerProcess> {
  const command = [
    process.execPath,
    ...(profile === undefined || arrangement === 'stock' || arrangement === 'proto'
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
    ...(typeof arrangement === 'string' ? PROGRAMS[arrangement] : [programOf(arrangement.folder)]),
  ]
  if (core !== undefined) command.unshift('taskset', '-c', core)
  const port = await freePort()
  const child = spawn(command[0]!, command.slice(1), {
    // Without a .env file or variables of the caller, either of which could configure the server.
    cwd: tmpdir(),
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      PORT: String(port),
      ENABLE_WEBSOCKETS: 'true',
      LOG_LEVEL: 'warn',
      // The benchmark measures a page of 5 MB, which is over the default maximum.
      MAX_PAGE_BYTES: '8mb',
      ...UNMETERED,
      SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'),
      ...(database !== undefined && {
        KNEX_DB_CLIENT: database.client,
        KNEX_DB_CONNECTION: JSON.stringify(database.connection),
      }),
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

async function listening(child: ChildProcess, port: number, log: () => string): Promise<void> {
  const end = Date.now() + START_TIMEOUT_MS
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
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await exited
  clearTimeout(timer)
}

function programOf(folder: string): string {
  return join(folder, 'dist', 'src', 'main.js')
}
