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
