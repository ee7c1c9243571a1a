/** Program: `attacker PORT ADDRESS SECONDS ATTACK…` runs random attacks until the time is over. */
import { setTimeout as pause } from 'node:timers/promises'
import { ATTACKS } from './attacks'
import { Stranger } from './stranger'

/** How many attacks run at once, and for how long at most until others replace them. */
const ATTACKS_AT_ONCE = 3
const MIX_MS = 5000

async function main(): Promise<void> {
  const [port, address, seconds, ...names] = process.argv.slice(2)
  const start = Date.now()
  const end = start + Number(seconds) * 1000
  // Each attack should run even in a short siege.
  const mixMs = Math.min(MIX_MS, (Number(seconds) * 1000 * ATTACKS_AT_ONCE) / names.length)
  let waiting: string[] = []
  while (Date.now() < end) {
    const until = Math.min(end, Date.now() + mixMs)
    const stranger = new Stranger(Number(port), address!)
    if (waiting.length < ATTACKS_AT_ONCE)
      waiting = [...waiting, ...shuffle(names.filter((name) => !waiting.includes(name)))]
    const mix = waiting.splice(0, ATTACKS_AT_ONCE)
    process.stdout.write(`${((Date.now() - start) / 1000).toFixed(1)} s: ${mix.join(' | ')}\n`)
    await Promise.race([
      Promise.all(
        mix.map(async (name) => {
          await ATTACKS[name]!(stranger, () => Date.now() < until).catch((error: unknown) => {
            process.stdout.write(`${name}: ${String(error)}\n`)
          })
        }),
      ),
      pause(until - Date.now()),
    ])
    stranger.end()
  }
  process.exit()
}

function shuffle<T>(list: T[]): T[] {
  return list
    .map((value) => ({ value, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ value }) => value)
}

process.on('unhandledRejection', () => {})
void main()
