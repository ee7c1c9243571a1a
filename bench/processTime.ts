import { readFileSync } from 'node:fs'

/** Linux counts a process's time in hundredths of a second, on every platform. */
const TICKS = 100

/** User and system time of all threads, in seconds; undefined without /proc or the process. */
export function cpuSeconds(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined
  try {
    // The second field, in parentheses, may contain blanks.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS
  } catch {
    return undefined
  }
}

/** User and system time of a process and of its children, in seconds; undefined if unknown. */
export function cpuSecondsOfTree(pid: number | undefined): number | undefined {
  const own = cpuSeconds(pid)
  return own === undefined
    ? undefined
    : childrenOf(pid!).reduce((total, child) => total + (cpuSeconds(child) ?? 0), own)
}

function childrenOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return children.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
