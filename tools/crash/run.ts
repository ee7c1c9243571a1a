/**
 * The long crash test: kills the server, MariaDB and a Galera node under load.
 *   npm run crash -- --rounds 20 --victims sqlite,mysql,mariadb
 * With --build the server runs from the result of `npm run build`.
 */
import { parseArgs } from 'node:util'
import globalSetup from '../setup/globalSetup'
import globalTeardown from '../setup/globalTeardown'
import { endChildren } from '../programs/processes'
import { isSound } from './audit'
import { crash, VICTIMS, type Victim } from './crash'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '20' },
      victims: { type: 'string', default: VICTIMS.join(',') },
      build: { type: 'boolean', default: false },
    },
  })
  const kills = Number(values.rounds)
  if (!(Number.isInteger(kills) && kills > 0))
    throw new Error('--rounds takes a whole number above 0')
  const victims = values.victims.split(',').map(parseVictim)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  await globalSetup()
  try {
    for (const victim of victims) await report(victim, kills, values.build)
  } finally {
    await endChildren()
    await globalTeardown()
  }
}

function parseVictim(name: string): Victim {
  const victim = VICTIMS.find((known) => known === name)
  if (victim === undefined) throw new Error(`--victims takes some of ${VICTIMS.join(',')}`)
  return victim
}

async function report(victim: Victim, kills: number, build: boolean): Promise<void> {
  const begin = Date.now()
  const counts = await crash(victim, { kills, build })
  const { faults, ...numbers } = counts
  const lines = Object.entries(numbers).map(
    ([name, number]) => `  ${name.padEnd(14)}${String(number).padStart(8)}`,
  )
  const seconds = Math.round((Date.now() - begin) / 1000)
  process.stdout.write(`\n${victim}: ${kills} kills in ${seconds} s\n${lines.join('\n')}\n`)
  for (const fault of faults) process.stdout.write(`  FAULT ${fault}\n`)
  if (!isSound(counts)) process.exitCode = 1
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
})
