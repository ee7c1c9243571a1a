/**
 * Who runs on which core: the server under test on the first, everything else (load and database) on the others.
 * So the figures of a server are those of one core, and the load does not take from it.
 */
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { progress } from './progress'

export interface Pinning {
  /** Where the server goes; undefined where nothing can be pinned. */
  serverCore: string | undefined
  /** For people: what was pinned, and what not, and why. */
  description: string
  /** Gives the database its cores back. */
  restore: () => void
}

/** @param databasePid the database's process, where it is known and on this machine */
export function pin (databasePid: number | undefined): Pinning {
  const unpinned = (reason: string): Pinning => ({ serverCore: undefined, description: `none: ${reason}`, restore: () => {} })
  const cores = allowedCores(process.pid)
  if (cores === undefined) return unpinned('taskset is not to be had here')
  const [serverCore, ...others] = expand(cores)
  if (serverCore === undefined || others.length === 0) return unpinned(`there is one core alone (of ${cpus().length})`)
  const rest = others.join(',')
  move(process.pid, rest)
  const databaseCores = databasePid === undefined ? undefined : allowedCores(databasePid)
  const databasePinned = databasePid !== undefined && databaseCores !== undefined && move(databasePid, rest)
  return {
    serverCore,
    description: `server on core ${serverCore}; load${databasePinned ? ' and database' : ''} on core${others.length > 1 ? 's' : ''} ${rest}` +
      (databasePinned ? '' : '; the database runs where it will (not found here, or not permitted)'),
    restore () {
      if (databasePinned && !move(databasePid, databaseCores)) progress(`The database could not be given back its cores ${databaseCores}\n`)
    }
  }
}

/** The cores of a process as taskset lists them, such as `0-3,8`. */
function allowedCores (pid: number): string | undefined {
  const { status, stdout } = spawnSync('taskset', ['-cp', String(pid)], { encoding: 'utf8' })
  return status === 0 ? /: ([\d,-]+)\s*$/.exec(stdout)?.[1] : undefined
}

/** Moves all threads of a process. */
function move (pid: number, cores: string): boolean {
  return spawnSync('taskset', ['-acp', cores, String(pid)]).status === 0
}

function expand (cores: string): string[] {
  return cores.split(',').flatMap(range => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => String(first + index))
  })
}
