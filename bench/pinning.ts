/**
 * Pins the server under test to the first core, and load and database to the others. So the results
 * of a server are those of one core, without the load.
 */
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'

export interface Pinning {
  /** The core of the server; undefined if processes cannot be pinned. */
  serverCore: string | undefined
  /** A text that tells what is pinned, what is not, and why. */
  description: string
  /** Gives the load and the database all cores back. */
  restore: () => void
}

/** For programs that run side by side on one machine, as they do at an operator's. */
export const UNPINNED: Pinning = { serverCore: undefined, description: 'none', restore: () => {} }

/** @param database its process, if known and local; 'embedded' if it is part of the server */
export function pin(database: number | 'embedded' | undefined): Pinning {
  const unpinned = (reason: string): Pinning => ({
    serverCore: undefined,
    description: `none: ${reason}`,
    restore: () => {},
  })
  const cores = allowedCores(process.pid)
  if (cores === undefined) return unpinned('taskset is not installed, or failed')
  const [serverCore, ...remaining] = cores
  if (serverCore === undefined || remaining.length === 0)
    return unpinned(`this process may use only one core (of ${cpus().length})`)
  const rest = remaining.join(',')
  move(process.pid, rest)
  const others = `core${cores.length > 2 ? 's' : ''} ${rest}`
  const describe = (text: string, restoreDatabase = (): void => {}): Pinning => ({
    serverCore,
    restore() {
      move(process.pid, cores.join(','))
      restoreDatabase()
    },
    description: `server on core ${serverCore}; ${text}`,
  })
  if (database === 'embedded') return describe(`load on ${others}`)
  const before = database === undefined ? undefined : allowedCores(database)?.join(',')
  if (database === undefined || before === undefined || !move(database, rest)) {
    return describe(
      `load on ${others}; the database is not pinned: ` +
        'its process was not found, or moving it is not permitted',
    )
  }
  return describe(`load and database on ${others}`, () => {
    if (!move(database, before))
      throw new Error(`the database could not be given back its cores ${before}`)
  })
}

/** The cores that a process may use; undefined if taskset fails. */
function allowedCores(pid: number): string[] | undefined {
  const { status, stdout } = spawnSync('taskset', ['-cp', String(pid)], { encoding: 'utf8' })
  const list = status === 0 ? /: ([\d,-]+)\s*$/.exec(stdout)?.[1] : undefined
  return list === undefined ? undefined : expand(list)
}

/** Moves all threads of a process. */
function move(pid: number, cores: string): boolean {
  return spawnSync('taskset', ['-acp', cores, String(pid)]).status === 0
}

/** Such as `0-3,8`. */
function expand(cores: string): string[] {
  return cores.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => String(first + index))
  })
}
