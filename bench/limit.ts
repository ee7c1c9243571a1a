/** What a core can do at most: signatures alone, and Express alone. */
import { Connection } from '../tools/clients/connection'
import { workOff } from './measure'
import { progress } from './progress'
import type { Setting } from './rounds'
import { startServer } from './serverProcess'
import { median, sorted } from './statistics'
import { figure, table } from './table'

const CONNECTIONS = 32
const WARM_UP_REQUESTS = 5000
const NOTHING = Buffer.from(
  'POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n' +
    'content-length: 2\r\n\r\n{}',
)

/**
 * Measures on the server's core.
 * @param sends per second, to compare
 * @returns a table as text
 */
export async function compareToLimit(
  sends: number,
  { plan, serverCore, closing }: Setting,
): Promise<string> {
  const server = await startServer('limit', undefined, serverCore)
  closing.add(server.stop)
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => await Connection.open(server.port)),
  )
  const request = async (count: number): Promise<number> => {
    const { seconds } = await workOff(connections, Array<Buffer[]>(count).fill([NOTHING]), 1)
    return count / seconds
  }
  const curve: number[] = []
  const express: number[] = []
  let rate = await request(plan.warmUp === 0 ? CONNECTIONS : WARM_UP_REQUESTS)
  for (let round = 1; round <= plan.rounds; round++) {
    progress(`round ${round} of ${plan.rounds}: the limit of the core`)
    curve.push(await measureCurve(server.port, Math.max(plan.window, 100)))
    rate = await request(Math.max(CONNECTIONS, Math.round((rate * plan.window) / 1000)))
    express.push(rate)
  }
  for (const connection of connections) connection.close()
  await server.stop()
  const row = (name: string, rates: number[]): string[] => {
    const ordered = sorted(rates)
    const spread = `(${figure(ordered[0])}..${figure(ordered.at(-1))})`
    const share = `${Math.round((100 * sends) / median(ordered))} %`
    return [name, figure(median(ordered)), spread, share]
  }
  return table([
    ['limit of the core', 'per second', '(slowest..fastest)', 'sends, share of it'],
    row('signatures alone: verify one, make one', curve),
    row('an Express route that does nothing', express),
  ])
}

async function measureCurve(port: number, durationMs: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/curve?ms=${durationMs}`)
  const { perSecond } = (await response.json()) as { perSecond: number }
  return perSecond
}
