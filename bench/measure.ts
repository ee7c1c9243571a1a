/** One measurement: warm up, sign, then time all operations over the connections. */
import type { Knex } from 'knex'
import type { Session } from '../tools/clients/session'
import { Connection } from '../tools/clients/connection'
import type { Plan } from './plan'
import { cpuSecondsOfTree } from './processTime'
import type { ServerProcess } from './serverProcess'
import type { Answered, Operation, Scenario } from './scenarios'

const HEALTH = Buffer.from('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')

/** What a measurement needs of a server. */
export interface Subject {
  name: string
  server: ServerProcess
  sessions: Session[]
  knex: Knex
  /** If the database is a local process. */
  databasePid: number | undefined
}

export interface Sample {
  operations: number
  seconds: number
  /** In milliseconds, one for each operation. */
  latencies: number[]
  /** CPU time of the server and of the database, in seconds; undefined if unknown. */
  serverCpu: number | undefined
  databaseCpu: number | undefined
}

/**
 * @param rate about how many operations per millisecond to expect; if undefined, a warm-up
 *   measures it
 */
export async function measure(
  { server, sessions, knex, databasePid }: Subject,
  scenario: Scenario,
  plan: Plan,
  rate?: number,
): Promise<Sample> {
  const connections: Connection[] = []
  for (let i = 0; i < scenario.connections; i++) {
    const connection = await Connection.open(server.port)
    // A server with several workers gives each an equal number if they come one after the other.
    await connection.exchange(HEALTH)
    connections.push(connection)
  }
  try {
    const prepare = async (count: number): Promise<Operation[]> =>
      await scenario.prepare(knex, sessions, roundUp(count, scenario.connections))
    const leastBytes = await probe(
      connections[0]!,
      sessions,
      scenario,
      await scenario.prepare(knex, sessions, 1),
    )
    const expected =
      rate ?? (plan.warmUp === 0 ? 0 : await warmUp(connections, prepare, leastBytes, plan.warmUp))
    const operations = await prepare(
      Math.max(expected * plan.window, plan.leastEach * connections.length),
    )
    const stopServerClock = startClock(server.pid)
    const stopDatabaseClock = startClock(databasePid)
    const { seconds, latencies } = await workOff(connections, operations, leastBytes)
    return {
      operations: operations.length,
      seconds,
      latencies,
      serverCpu: stopServerClock(),
      databaseCpu: stopDatabaseClock(),
    }
  } finally {
    for (const connection of connections) connection.close()
  }
}

/** @returns a function: the CPU time of a process and its children since then, in seconds */
function startClock(pid: number | undefined): () => number | undefined {
  const before = cpuSecondsOfTree(pid)
  return () => {
    const after = cpuSecondsOfTree(pid)
    return before === undefined || after === undefined ? undefined : after - before
  }
}

/**
 * Makes one operation and checks the content and the signatures of its answers.
 * @returns the minimum bytes of an answer: slightly less than these have
 */
async function probe(
  connection: Connection,
  sessions: Session[],
  { holds }: Scenario,
  operations: Operation[],
): Promise<number> {
  let least = Infinity
  for (const request of operations[0]!) {
    const answer = await connection.exchange(request, true)
    const text = answer.body.toString()
    if (answer.status !== 200 || !holds(JSON.parse(text) as Answered))
      throw new Error(`unexpected answer ${answer.status} ${text.slice(0, 300)}`)
    const signed = /^x-bsv-auth-request-id/im.test(answer.head)
    if (signed && !sessions[0]!.verifies(answer))
      throw new Error('the signature of an answer does not hold')
    least = Math.min(least, answer.length)
  }
  return least * 0.9
}

/**
 * Warms up the server in batches that double. Node takes some thousand requests.
 * @returns operations per millisecond of the last batch
 */
async function warmUp(
  connections: Connection[],
  prepare: (count: number) => Promise<Operation[]>,
  leastBytes: number,
  duration: number,
): Promise<number> {
  let spent = 0
  for (let count = connections.length; ; count *= 2) {
    const operations = await prepare(count)
    const { seconds } = await workOff(connections, operations, leastBytes)
    spent += seconds * 1000
    if (spent >= duration) return operations.length / (seconds * 1000)
  }
}

/** Every connection takes the next operation when it has finished one. */
export async function workOff(
  connections: Connection[],
  operations: Operation[],
  leastBytes: number,
): Promise<{ seconds: number; latencies: number[] }> {
  const latencies: number[] = []
  let next = 0
  const started = performance.now()
  await Promise.all(
    connections.map(async (connection) => {
      for (
        let operation = operations[next++];
        operation !== undefined;
        operation = operations[next++]
      ) {
        const begun = performance.now()
        for (const request of operation) {
          const { status, length, body } = await connection.exchange(request)
          if (status !== 200)
            throw new Error(`a request was answered ${status}: ${body.toString().slice(0, 300)}`)
          if (length < leastBytes)
            throw new Error(`an answer has ${length} bytes, less than ${leastBytes}`)
        }
        latencies.push(performance.now() - begun)
      }
    }),
  )
  return { seconds: (performance.now() - started) / 1000, latencies }
}

function roundUp(count: number, step: number): number {
  return Math.max(1, Math.ceil(count / step)) * step
}
