/** A server as a process of its own, on a core of its own where the system can. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseConfig } from '../src/config'

export type Arrangement = 'ours' | 'stock'

export interface ServerProcess {
  port: number
  /** User and system time of the process so far; undefined where there is no /proc. */
  cpuSeconds: () => number | undefined
  stop: () => Promise<void>
}

const ROOT = join(__dirname, '..')
/** Ours is what `npm start` runs. The stock arrangement embeds the same compiled server. */
const PROGRAMS: Record<Arrangement, string[]> = {
  ours: [join(ROOT, 'dist', 'src', 'main.js')],
  stock: ['-r', require.resolve('ts-node/register/transpile-only'), join(ROOT, 'bench', 'stockServer.ts')]
}
const START_TIMEOUT = 30_000
const STOP_TIMEOUT = 5000
/** Linux counts a process's time in hundredths of a second, on every platform. */
const TICKS = 100

/** @param core the core to keep it on; anywhere where undefined */
export async function startServer (arrangement: Arrangement, database: DatabaseConfig, core: string | undefined): Promise<ServerProcess> {
  const command = [process.execPath, ...PROGRAMS[arrangement]]
  if (core !== undefined) command.unshift('taskset', '-c', core)
  const child = spawn(command[0]!, command.slice(1), {
    // Away from any .env, and with nothing of the caller's environment that could configure the server.
    cwd: tmpdir(),
    env: {
      PATH: process.env.PATH,
      TS_NODE_PROJECT: join(ROOT, 'tsconfig.json'),
      NODE_ENV: 'production',
      PORT: '0',
      SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'),
      KNEX_DB_CLIENT: database.client,
      KNEX_DB_CONNECTION: JSON.stringify(database.connection)
    },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const port = await listening(child)
  return { port, cpuSeconds: () => cpuSeconds(child.pid!), stop: async () => { await stop(child) } }
}

/** Waits for the line that tells the port. */
async function listening (child: ChildProcess): Promise<number> {
  let output = ''
  return await new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      child.kill('SIGKILL')
      reject(new Error(`A server ${reason}:\n${output}`))
    }
    const timer = setTimeout(() => { fail('did not start in time') }, START_TIMEOUT)
    const read = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-10_000)
      const port = /"url":"http:\/\/localhost:(\d+)"/.exec(output)?.[1]
      if (port === undefined) return
      clearTimeout(timer)
      resolve(Number(port))
    }
    child.stdout!.on('data', read)
    child.stderr!.on('data', read)
    child.once('exit', () => {
      clearTimeout(timer)
      fail('ended')
    })
  })
}

function cpuSeconds (pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS
  } catch {
    return undefined
  }
}

async function stop (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT)
  await exited
  clearTimeout(timer)
}
