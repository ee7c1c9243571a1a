/** Attacks a server from one address and measures the answers to honest clients at others. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { newWallet, Session } from '../clients/session'
import { Connection } from '../clients/connection'
import type { FlatEnv } from '../../src/config'
import { createDatabase } from '../databases/databases'
import { LightSocket } from '../clients/lightSocket'
import { Child, ServerProcess } from '../programs/processes'
import { DEFAULT_LIMITS } from '../servers/unmetered'
import { ATTACKS } from './attacks'
import type { Front } from './fronts'

export interface Siege {
  /** Requests without an answer of 200. */
  failed: number
  heard: number
  /** The duration of each send, in milliseconds, the shortest first. */
  times: number[]
  /** When the slowest send was sent, in seconds since the siege began. */
  worstAt: number
  /** The largest resident memory of the server, in MB. */
  memoryMb: number
  /** How long until the median was normal again; Infinity if that took too long. */
  recoveredMs: number
  /** The attacks that ran. */
  attacks: string
}

/** The bounds for a siege of a minute, see SECURITY.md. */
export const BOUNDS = { medianMs: 50, p99Ms: 500, memoryMb: 500, recoveredMs: 10_000 }

export interface SiegePlan {
  seconds: number
  /** Names of attacks; all if none is given. */
  attacks?: string[]
  /** Starts the proxy in front of the server. */
  front?: Front
  env?: FlatEnv
  build?: boolean
  /** How many attackers there are, each at an address of its own. */
  strangers?: number
}

const HONEST = '127.0.0.2'
/** How often an honest client sends. */
const HONEST_INTERVAL_MS = 50
const SEND_TIMEOUT_MS = 10_000
/** How long the server may take to recover, and the median that counts as recovered. */
const RECOVERY_MS = 10_000
const CALM_MS = 20

export async function besiege({
  seconds,
  attacks = Object.keys(ATTACKS),
  front,
  env = {},
  build = false,
  strangers = 1,
}: SiegePlan): Promise<Siege> {
  const database = await createDatabase('sqlite')
  const proxied: FlatEnv = front === undefined ? {} : { TRUST_PROXY: '1' }
  const server = await ServerProcess.start({
    build,
    env: {
      ...DEFAULT_LIMITS,
      ...database.env,
      ENABLE_WEBSOCKETS: 'true',
      ENABLE_OVERLAY: 'true',
      NETWORK: 'local',
      LOG_LEVEL: 'info',
      ...proxied,
      ...env,
    },
  })
  const serverPort = Number(new URL(server.origin).port)
  const running = await front?.(serverPort)
  try {
    const port = running?.port ?? serverPort
    const honest = await Honest.start(port)
    await honest.go(1000)
    honest.reset()
    const memory = watchMemory(server.pid!)
    const attackers = Array.from(
      { length: strangers },
      (_value, index) =>
        new Child(process.execPath, [
          '-r',
          join(__dirname, '../../scripts/transpile.js'),
          join(__dirname, 'attacker.ts'),
          String(port),
          `127.0.0.${9 + index}`,
          String(seconds),
          ...attacks,
        ]),
    )
    await honest.go(seconds * 1000)
    const during = honest.reset()
    for (const attacker of attackers) await attacker.end()
    const recoveredMs = await honest.recover()
    honest.end()
    const memoryMb = memory.end()
    if (!server.running) throw new Error(`The server has ended:\n${server.output}`)
    return {
      ...during,
      memoryMb,
      recoveredMs,
      attacks: attackers.map(({ output }) => output).join(''),
    }
  } finally {
    await running?.end()
    await server.kill()
    await database.drop()
  }
}

/** An honest client that sends to itself over HTTP and receives over a socket. */
class Honest {
  #times: number[] = []
  #worst = { took: 0, since: 0 }
  #start = performance.now()
  #failed = 0
  #heard = 0
  #connection: Connection | undefined
  readonly #socket: LightSocket

  private constructor(
    private readonly port: number,
    private readonly session: Session,
    socket: LightSocket,
  ) {
    this.#socket = socket
    socket.raw.on('authMessage', () => {
      this.#heard++
    })
  }

  static async start(port: number): Promise<Honest> {
    const wallet = newWallet()
    const session = await Session.open(port, wallet, HONEST)
    const socket = await new LightSocket(`http://127.0.0.1:${port}`, {
      options: { localAddress: HONEST } as object,
    }).authenticate()
    socket.emit('joinRoom', `${socket.identityKey}-inbox`)
    await socket.next('joinedRoom')
    return new Honest(port, session, socket)
  }

  /** Sends every 50 ms for this time, without waiting for answers. */
  async go(milliseconds: number): Promise<void> {
    const end = Date.now() + milliseconds
    const under: Array<Promise<void>> = []
    while (Date.now() < end) {
      under.push(this.#send())
      await pause(HONEST_INTERVAL_MS)
    }
    await Promise.all(under)
  }

  /** How long it takes until the median of a second is normal again. */
  async recover(): Promise<number> {
    const since = Date.now()
    while (Date.now() - since < RECOVERY_MS) {
      this.reset()
      await this.go(1000)
      if (summarize(this.reset().times).medianMs < CALM_MS) return Date.now() - since
    }
    return Infinity
  }

  reset(): Pick<Siege, 'failed' | 'heard' | 'times' | 'worstAt'> {
    const worstAt = Math.round((this.#worst.since - this.#start) / 100) / 10
    const counts = {
      failed: this.#failed,
      heard: this.#heard,
      times: this.#times.sort((a, b) => a - b),
      worstAt,
    }
    this.#times = []
    this.#worst = { took: 0, since: 0 }
    this.#start = performance.now()
    this.#failed = 0
    this.#heard = 0
    return counts
  }

  end(): void {
    this.#connection?.close()
    this.#socket.close()
  }

  async #send(): Promise<void> {
    const request = this.session.sign('/sendMessage', {
      message: {
        recipient: this.#socket.identityKey,
        messageBox: 'inbox',
        messageId: randomUUID(),
        body: 'hello',
      },
    })
    const since = performance.now()
    const connection =
      this.#connection ?? (await Connection.open(this.port, HONEST).catch(() => undefined))
    this.#connection = undefined
    const answer =
      connection === undefined
        ? undefined
        : await Promise.race([
            connection.exchange(request).catch(() => undefined),
            pause(SEND_TIMEOUT_MS, undefined, { ref: false }),
          ])
    const took = performance.now() - since
    this.#times.push(took)
    if (took > this.#worst.took) this.#worst = { took, since }
    if (answer === undefined || answer.status !== 200) this.#failed++
    if (answer === undefined) connection?.close()
    else if (this.#connection === undefined) this.#connection = connection
    else connection!.close()
  }
}

export interface Summary {
  asked: number
  medianMs: number
  p90Ms: number
  p99Ms: number
  worstMs: number
}

/** @param times in milliseconds, the shortest first */
export function summarize(times: number[]): Summary {
  const at = (part: number): number =>
    Math.round((times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0) * 10) / 10
  return { asked: times.length, medianMs: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), worstMs: at(1) }
}

function watchMemory(pid: number): { end: () => number } {
  let largest = 0
  const look = (): void => {
    try {
      largest = Math.max(
        largest,
        Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) /
          1024,
      )
    } catch {
      // The server has ended, which the siege reports.
    }
  }
  const timer = setInterval(look, 50)
  return {
    end() {
      clearInterval(timer)
      return Math.round(largest)
    },
  }
}
