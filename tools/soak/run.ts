/** Runs the long forms of the live tests, or measures starts, and prints the counts. */
import { parseArgs } from 'node:util'
import type { Engine } from '../databases/databases'
import globalSetup from '../setup/globalSetup'
import globalTeardown from '../setup/globalTeardown'
import { endChildren } from '../programs/processes'
import { holdIdle } from './idle'
import { killUnderLiveLoad } from './kill'
import { measureStarts } from './start'

const USAGE = `npm run soak -- idle [SOCKETS] [SECONDS]   holds idle sockets, measures a delivery;
                                           by default 10000 sockets for 120 seconds
npm run soak -- kill [ROUNDS]              kills the server under live load, by default 10 times
                                           on each engine
npm run soak -- start [STARTS]             measures starts of the built server, by default 9, and
                                           its memory at rest
`

async function main(): Promise<void> {
  const {
    values,
    positionals: [what = 'idle', ...numbers],
  } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean' } } })
  if (values.help === true) return void process.stdout.write(USAGE)
  if (!['idle', 'kill', 'start'].includes(what) || numbers.length > (what === 'idle' ? 2 : 1))
    throw new Error(`This is how to call it:\n${USAGE}`)
  const [first, second] = numbers.map(parseCount)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  if (what === 'idle') console.log(await holdIdle(first ?? 10_000, second ?? 120, console.log))
  else if (what === 'start') console.log(await measureStarts(first ?? 9))
  else await killOnEachEngine(first ?? 10)
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!(Number.isInteger(count) && count > 0))
    throw new Error(`"${text}" is no whole number above 0`)
  return count
}

async function killOnEachEngine(rounds: number): Promise<void> {
  await globalSetup()
  try {
    // An import above loads it before the set-up finds a MySQL, so ENGINES is incomplete there.
    const engines: Engine[] =
      process.env.TEST_MYSQL_READY === 'true' ? ['sqlite', 'mysql'] : ['sqlite']
    for (const engine of engines) {
      const counts = await killUnderLiveLoad(engine, rounds)
      console.log(engine, counts)
      if (counts.missing + counts.twice > 0) process.exitCode = 1
    }
  } finally {
    await globalTeardown()
  }
}

main()
  .catch((error) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
  .finally(() => {
    void endChildren()
  })
