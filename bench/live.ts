/** Live messages, with our wallet and with the SDK's in its place: one sender to one listener, alone and in company. */
import { randomBytes, randomUUID } from 'node:crypto'
import { LightSocket } from '../tests/helpers/lightSocket'
import type { BenchDatabase, DatabaseServer } from './database'
import type { Sample } from './measure'
import { encryptedBody } from './messages'
import { cpuSeconds } from './processTime'
import { progress } from './progress'
import { figures, ratios, type Row } from './report'
import type { Setting } from './rounds'
import { startServer, type Arrangement, type ServerProcess } from './serverProcess'
import { summarize } from './statistics'

interface LiveScenario {
  name: string
  goal?: number
  /** How many sockets listen in the room, and how many are there for nothing. */
  listeners: number
  idle: number
}

const ALONE: LiveScenario = { name: 'live', goal: 8, listeners: 1, idle: 0 }
const CROWD: LiveScenario = { name: 'live, 1,000 idle sockets beside', listeners: 1, idle: 1000 }
const ROOM: LiveScenario = { name: 'live, 100 sockets in the room', listeners: 100, idle: 0 }
const SCENARIOS = [ALONE, CROWD, ROOM]

/** How many sends are under way at once when throughput is measured; latency is that of one alone. */
const IN_FLIGHT = 64
/** How many handshakes are under way at once. */
const RAMP = 25

const LEGEND = `live: per second are messages delivered to everybody in the room, 64 under way at once; p50 and p99 are from a send
to its last delivery, with nothing else under way.`

/** @returns figures and ratios, as text */
export async function compareLive (databases: DatabaseServer, setting: Setting): Promise<string> {
  const database = await databases.create()
  setting.closing.add(database.drop)
  const quick = setting.plan.warmUp === 0
  const rows: Row[] = []
  for (const scenario of SCENARIOS.map(scenario => quick ? shrink(scenario) : scenario)) {
    const samples: Record<string, Sample[]> = { ours: [], proto: [] }
    for (let round = 1; round <= setting.plan.rounds; round++) {
      for (const arrangement of ['ours', 'proto'] as const) {
        progress(`round ${round} of ${setting.plan.rounds}: ${scenario.name}, ${arrangement}`)
        samples[arrangement]!.push(await measureLive(arrangement, scenario, database, setting))
      }
    }
    rows.push({
      scenario: { ...scenario, connections: 1 + scenario.listeners + scenario.idle },
      subjects: [['ours', summarize(samples.ours!)], ['ProtoWallet', summarize(samples.proto!)]]
    })
  }
  const [alone, crowd] = rows.map(({ subjects }) => subjects[0]![1]) as [ReturnType<typeof summarize>, ReturnType<typeof summarize>]
  const beside = `With idle sockets beside, ours delivers ${Math.round(100 * crowd.rate / alone.rate)} % of what it delivers without.`
  return `${figures(rows)}\n\n${LEGEND}\n\n${ratios(rows)}\n\n${beside}`
}

function shrink ({ goal: _goal, ...scenario }: LiveScenario): LiveScenario {
  return { ...scenario, listeners: Math.min(10, scenario.listeners), idle: Math.min(20, scenario.idle) }
}

async function measureLive (arrangement: Arrangement, scenario: LiveScenario, database: BenchDatabase, { plan, serverCore, closing }: Setting): Promise<Sample> {
  const server = await startServer(arrangement, database.config, serverCore)
  closing.add(server.stop)
  const room = await Room.open(server, scenario)
  try {
    const rate = await warmUp(room, plan.warmUp)
    const frames = room.sign(Math.max(IN_FLIGHT, Math.round(rate * plan.window)))
    const before = cpuSeconds(server.pid)
    const seconds = await room.deliver(frames, IN_FLIGHT)
    const after = cpuSeconds(server.pid)
    const latencies: number[] = []
    for (const frame of room.sign(plan.warmUp === 0 ? 5 : 300)) latencies.push(1000 * await room.deliver([frame], 1))
    return { operations: frames.length, seconds, latencies, serverCpu: before === undefined || after === undefined ? undefined : after - before, databaseCpu: undefined }
  } finally {
    room.close()
    await server.stop()
  }
}

/** @returns deliveries per millisecond, once the server's code is hot */
async function warmUp (room: Room, duration: number): Promise<number> {
  let spent = 0
  for (let count = IN_FLIGHT; ; count *= 2) {
    const milliseconds = 1000 * await room.deliver(room.sign(count), IN_FLIGHT)
    spent += milliseconds
    if (spent >= duration) return count / milliseconds
  }
}

/** A sender, a room with its listeners, and sockets that have no part in it. */
class Room {
  #delivered: () => void = () => {}

  private constructor (
    private readonly sender: LightSocket,
    private readonly listeners: LightSocket[],
    private readonly idle: LightSocket[]
  ) {
    for (const { raw } of listeners) {
      // Counting is all that is done with a frame from here on: the load must not spend what the server needs.
      raw.off('authMessage').on('authMessage', () => { this.#delivered() })
    }
    sender.raw.off('authMessage')
  }

  static async open ({ port }: ServerProcess, { listeners, idle }: LiveScenario): Promise<Room> {
    const origin = `http://127.0.0.1:${port}`
    const key = randomBytes(32)
    const sender = await new LightSocket(origin).authenticate()
    return new Room(sender, await openMany(listeners, async () => await join(origin, key)), await openMany(idle, async () => await join(origin)))
  }

  sign (count: number): object[] {
    const { identityKey: recipient } = this.listeners[0]!
    return Array.from({ length: count }, () => this.sender.sign({
      eventName: 'sendMessage',
      data: { roomId: `${recipient}-inbox`, message: { messageId: randomUUID(), recipient, body: encryptedBody(300) } }
    }))
  }

  /** @returns how many seconds it took until everybody had heard everything */
  async deliver (frames: object[], inFlight: number): Promise<number> {
    const audience = this.listeners.length
    let sent = 0
    let heard = 0
    const started = performance.now()
    const send = (): void => { if (sent < frames.length) this.sender.raw.emit('authMessage', frames[sent++]) }
    await new Promise<void>(resolve => {
      this.#delivered = () => {
        heard++
        if (heard === frames.length * audience) resolve()
        else if (heard % audience === 0) send()
      }
      for (let i = 0; i < inFlight; i++) send()
    })
    return (performance.now() - started) / 1000
  }

  close (): void {
    for (const socket of [this.sender, ...this.listeners, ...this.idle]) socket.close()
  }
}

async function openMany (count: number, open: () => Promise<LightSocket>): Promise<LightSocket[]> {
  const sockets: LightSocket[] = []
  while (sockets.length < count) {
    sockets.push(...await Promise.all(Array.from({ length: Math.min(RAMP, count - sockets.length) }, open)))
  }
  return sockets
}

async function join (origin: string, key?: Buffer): Promise<LightSocket> {
  const socket = await new LightSocket(origin, { ...(key !== undefined && { key }) }).authenticate()
  socket.emit('joinRoom', `${socket.identityKey}-inbox`)
  await socket.next('joinedRoom')
  return socket
}
