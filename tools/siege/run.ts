/** The long siege, such as: npm run siege -- --seconds 60 --each --attack "binary packets" */
import { parseArgs } from 'node:util'
import { endChildren } from '../programs/processes'
import { ATTACKS } from './attacks'
import { FRONTS } from './fronts'
import { besiege, BOUNDS, summarize, type Siege, type Summary } from './siege'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      attack: { type: 'string', multiple: true },
      each: { type: 'boolean', default: false },
      front: { type: 'string', default: 'none' },
      strangers: { type: 'string', default: '1' },
      build: { type: 'boolean', default: false },
    },
  })
  const names = values.attack ?? Object.keys(ATTACKS)
  const unknown = names.filter((name) => !(name in ATTACKS))
  if (unknown.length > 0)
    throw new Error(`--attack takes one of these:\n${Object.keys(ATTACKS).join('\n')}`)
  for (const attacks of values.each ? names.map((name) => [name]) : [names]) {
    const {
      attacks: done,
      times,
      ...counts
    } = await besiege({
      seconds: Number(values.seconds),
      attacks,
      front: FRONTS[values.front],
      build: values.build,
      strangers: Number(values.strangers),
    })
    const summary = { ...summarize(times), ...counts }
    if (!holds(summary)) process.exitCode = 1
    const title = attacks.length === 1 ? attacks[0]! : `all attacks, in turn\n${done}`
    const verdict = holds(summary) ? '' : ' WHICH IS NOT WITHIN THE BOUNDS'
    process.stdout.write(`${title}\n  ${JSON.stringify(summary)}${verdict}\n`)
  }
  await endChildren()
}

function holds(summary: Summary & Pick<Siege, 'failed' | 'memoryMb' | 'recoveredMs'>): boolean {
  return (
    summary.failed === 0 &&
    (Object.keys(BOUNDS) as Array<keyof typeof BOUNDS>).every(
      (name) => summary[name] < BOUNDS[name],
    )
  )
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
