/** The admin tool as a process. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { VARIABLES, type FlatEnv } from '../../src/config'

const PROGRAM = [
  '-r',
  join(__dirname, '../../scripts/transpile.js'),
  join(__dirname, '../../src/cli/admin.ts'),
]

export interface AdminRun {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs the tool with only these settings, without a terminal. */
export async function admin(env: FlatEnv, ...args: string[]): Promise<AdminRun> {
  return await collect(
    spawn(process.execPath, [...PROGRAM, ...args], {
      cwd: tmpdir(),
      env: environment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
}

/** Runs the tool as a user without write access: the user `nobody` if this process is root. */
export async function adminAsNobody(env: FlatEnv, ...args: string[]): Promise<AdminRun> {
  return await runAsNobody(env, ...PROGRAM, ...args)
}

/** Starts the server as that user, for starts that fail. */
export async function startAsNobody(env: FlatEnv): Promise<AdminRun> {
  return await runAsNobody(env, ...PROGRAM.slice(0, 2), join(__dirname, '../../src/main.ts'))
}

async function runAsNobody(env: FlatEnv, ...args: string[]): Promise<AdminRun> {
  const user = isRoot() ? { uid: NOBODY, gid: NOBODY } : {}
  return await collect(
    spawn(process.execPath, args, {
      cwd: tmpdir(),
      env: environment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...user,
    }),
  )
}

const NOBODY = 65534

function isRoot(): boolean {
  return process.getuid?.() === 0
}

/** Whether that user can read the program, which may be in a private folder of root. */
export function canBeRestricted(): boolean {
  const folders = [__dirname]
  while (dirname(folders.at(-1)!) !== folders.at(-1)) folders.push(dirname(folders.at(-1)!))
  if (!isRoot() || folders.every((folder) => (statSync(folder).mode & 0o005) === 0o005)) return true
  process.stderr.write(
    '\n*** ONLY root CAN READ THIS FOLDER: THE LIMITS OF OTHER USERS ARE NOT TESTED. ***\n',
  )
  return false
}

/** Whether `script` of util-linux is installed, which gives a program a terminal. */
export function hasTerminals(): boolean {
  if (/util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? ''))
    return true
  const text = 'NO script OF util-linux HERE: WHAT THE TOOL ASKS AT A TERMINAL'
  if (process.env.CI === 'true') throw new Error(`${text} CANNOT BE TESTED`)
  process.stderr.write(`\n*** ${text} IS NOT TESTED. ***\n`)
  return false
}

/** Runs the tool on a terminal and answers its question. The output has both streams. */
export async function adminOnTerminal(
  env: FlatEnv,
  answer: string,
  ...args: string[]
): Promise<AdminRun> {
  const command = [process.execPath, ...PROGRAM, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: tmpdir(),
    env: environment(env),
    stdio: 'pipe',
  })
  let shown = ''
  child.stdout.on('data', (chunk) => {
    shown += String(chunk)
    if (!shown.includes('[y/N]')) return
    shown = ''
    child.stdin.write(`${answer}\n`)
  })
  return await collect(child)
}

async function collect(child: ChildProcess): Promise<AdminRun> {
  const run: AdminRun = { code: null, stdout: '', stderr: '' }
  child.stdout!.on('data', (chunk) => {
    run.stdout += String(chunk)
  })
  child.stderr!.on('data', (chunk) => {
    run.stderr += String(chunk)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { ...run, code }
}

/** Only these variables. An empty one counts as not set. */
function environment(env: FlatEnv): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    TERM: 'xterm',
    ...Object.fromEntries(VARIABLES.map((name) => [name, ''])),
    NODE_ENV: 'test',
    ...env,
  }
}
