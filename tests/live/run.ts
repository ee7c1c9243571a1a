/**
 * The long forms of the live tests, with their counts printed.
 *   npm run soak -- idle 10000 120      sockets, seconds
 *   npm run soak -- kill 10             rounds, on each engine
 */
import globalSetup from '../helpers/globalSetup'
import globalTeardown from '../helpers/globalTeardown'
import { endChildren } from '../helpers/processes'
import { holdIdle } from './idle'
import { killUnderLiveLoad } from './kill'

async function main ([what = 'idle', ...numbers]: string[]): Promise<void> {
  const [first, second] = numbers.map(Number)
  if (what === 'kill') {
    await globalSetup()
    // Which engines there are is known from here on.
    const { ENGINES } = await import('../helpers/databases')
    for (const engine of ENGINES) console.log(engine, await killUnderLiveLoad(engine, first ?? 10))
    await globalTeardown()
  } else {
    console.log(await holdIdle(first ?? 10_000, second ?? 120, console.log))
  }
}

main(process.argv.slice(2)).catch(error => {
  console.error(error)
  process.exitCode = 1
}).finally(() => { void endChildren() })
