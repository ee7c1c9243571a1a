/** Live messages with the server's key and with the SDK's: one sender to one or more listeners. */
import { forgetMigrations, type BenchDatabase, type DatabaseServer } from './database'
import type { Sample } from './measure'
import { chosen, type Plan } from './plan'
import { cpuSeconds } from './processTime'
import { progress } from './progress'
import { figures, ratios, type Row } from './report'
import { Room } from './room'
import type { Setting } from './rounds'
import { startServer, type Arrangement, type ServerProcess } from './serverProcess'
import { summarize } from './statistics'

interface LiveScenario {
  name: string
  goal?: number
  /** How many sockets listen in the room, and how many are idle. */
  listeners: number
  idle: number
  /**
   * How many sends run at once to measure throughput; latency is that of a single send. The SDK's
   * wallet blocks the server for each delivery: with more at once, its queries time out.
   */
  inFlight: number
}

const ALONE: LiveScenario = { name: 'live', goal: 8, listeners: 1, idle: 0, inFlight: 64 }
const CROWD: LiveScenario = {
  name: 'live, 1,000 idle sockets beside',
  listeners: 1,
  idle: 1000,
  inFlight: 64,
}
const ROOM: LiveScenario = {
  name: 'live, 100 sockets in the room',
  listeners: 100,
  idle: 0,
  inFlight: 8,
}
export const LIVE_SCENARIOS = [ALONE, CROWD, ROOM]

/** Latency is measured on as many sends as fit a round, within this minimum and maximum. */
const MAX_LATENCY_SAMPLES = 300
const MIN_LATENCY_SAMPLES = 5

const LEGEND = `live: per second are messages delivered to all sockets in the room,
${ALONE.inFlight} under way at once, or ${ROOM.inFlight} if 100 listen;
p50 and p99 are from a send to its last delivery, with nothing else under way.`

/**
 * @param other the server to compare to, and its name
 * @returns results and ratios as text
 */
export async function compareLive(
  databases: DatabaseServer,
  setting: Setting,
  [name, other]: [string, Arrangement] = ['ProtoWallet', 'proto'],
): Promise<string> {
  const database = await databases.create()
  setting.closing.add(database.drop)
  const theirs = await databases.create()
  setting.closing.add(theirs.drop)
  if (typeof other === 'object') await forgetMigrations(theirs, other.folder)
  const quick = setting.plan.warmUp === 0
  const rows: Row[] = []
  for (const scenario of chosen(LIVE_SCENARIOS, setting.plan).map((scenario) =>
    quick ? shrink(scenario) : scenario,
  )) {
    const subjects = [
      await open('ours', scenario, database, setting),
      await open(other, scenario, theirs, setting),
    ] as const
    for (let round = 1; round <= setting.plan.rounds; round++) {
      for (const subject of round % 2 === 1 ? subjects : [...subjects].reverse()) {
        progress(
          `round ${round} of ${setting.plan.rounds}: ${scenario.name}, ` +
            (subject === subjects[0] ? 'ours' : name),
        )
        subject.samples.push(
          await measureLive(subject, scenario, setting.plan).catch((error: unknown) => {
            throw new Error(
              `${scenario.name}, ${subject === subjects[0] ? 'ours' : name}: ` +
                `${(error as Error).message}\n${subject.server.log()}`,
            )
          }),
        )
      }
    }
    for (const { room, server } of subjects) {
      room.close()
      await server.stop()
    }
    const { goal, ...described } = scenario
    rows.push({
      scenario: {
        ...described,
        ...(other === 'proto' && goal !== undefined && { goal }),
        connections: 1 + scenario.listeners + scenario.idle,
      },
      subjects: [
        ['ours', summarize(subjects[0].samples)],
        [name, summarize(subjects[1].samples)],
      ],
    })
  }
  if (rows.length === 0) return ''
  const text = `${figures(rows)}\n\n${LEGEND}\n\n${ratios(rows)}`
  const [alone, crowd] = [ALONE, CROWD].map(({ name }) => rateOf(rows, name))
  if (alone === undefined || crowd === undefined) return text
  const share = Math.round((100 * crowd) / alone)
  return `${text}\n\nWith idle sockets, ours delivers ${share} % of what it delivers without them.`
}

/** Of ours, in messages per second. */
function rateOf(rows: Row[], name: string): number | undefined {
  return rows.find(({ scenario }) => scenario.name === name)?.subjects[0]![1].rate
}

function shrink({ goal: _goal, ...scenario }: LiveScenario): LiveScenario {
  return {
    ...scenario,
    listeners: Math.min(10, scenario.listeners),
    idle: Math.min(20, scenario.idle),
  }
}

/** A server with its sockets, which stay open for all rounds. */
interface LiveSubject {
  server: ServerProcess
  room: Room
  samples: Sample[]
}

async function open(
  arrangement: Arrangement,
  scenario: LiveScenario,
  database: BenchDatabase,
  { plan, serverCore, closing }: Setting,
): Promise<LiveSubject> {
  progress(`${scenario.name}: opening sockets`)
  const server = await startServer(
    arrangement,
    database.config,
    serverCore,
    undefined,
    plan.profile,
  )
  closing.add(server.stop)
  const room = await Room.open(server.port, scenario)
  // Otherwise, sockets would try to reconnect forever.
  closing.add(() => {
    room.close()
  })
  return { server, room, samples: [] }
}

async function measureLive(
  { server, room, samples }: LiveSubject,
  { inFlight }: LiveScenario,
  plan: Plan,
): Promise<Sample> {
  const earlier = samples.at(-1)
  const rate =
    earlier === undefined
      ? await warmUp(room, inFlight, plan.warmUp)
      : earlier.operations / (earlier.seconds * 1000)
  const frames = room.sign(Math.max(inFlight, Math.round(rate * plan.window)))
  const before = cpuSeconds(server.pid)
  const seconds = await room.deliver(frames, inFlight)
  const after = cpuSeconds(server.pid)
  return {
    operations: frames.length,
    seconds,
    latencies: await timeAlone(room, plan.window),
    serverCpu: before === undefined || after === undefined ? undefined : after - before,
    databaseCpu: undefined,
  }
}

/** @returns deliveries per millisecond, once the server is warm */
async function warmUp(room: Room, inFlight: number, duration: number): Promise<number> {
  let spent = 0
  for (let count = inFlight; ; count *= 2) {
    const milliseconds = 1000 * (await room.deliver(room.sign(count), inFlight))
    spent += milliseconds
    if (spent >= duration) return count / milliseconds
  }
}

/** @returns how long single messages took, in milliseconds */
async function timeAlone(room: Room, window: number): Promise<number[]> {
  const latencies: number[] = []
  const end = performance.now() + window
  while (
    latencies.length < MIN_LATENCY_SAMPLES ||
    (latencies.length < MAX_LATENCY_SAMPLES && performance.now() < end)
  ) {
    latencies.push(1000 * (await room.deliver(room.sign(1), 1)))
  }
  return latencies
}
