/**
 * Live deliveries at a steady rate, alone and while other work keeps the database busy: a list of
 * 10,000 messages, a purge of 100,000 messages by the server and by the operator's tool, a backup.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import type { NativeServerKey } from '../src/auth/serverKey'
import type { DatabaseConfig, FlatEnv } from '../src/config'
import { Connection } from '../tools/clients/connection'
import { LightSocket } from '../tools/clients/lightSocket'
import { newWallet, Session } from '../tools/clients/session'
import type { DatabaseServer } from './database'
import { fillBox } from './messages'
import { cpuSeconds } from './processTime'
import { progress, progressDone } from './progress'
import type { Setting } from './rounds'
import { startServer, type Arrangement } from './serverProcess'
import { median, quantile, sorted } from './statistics'
import { figure, table } from './table'

/** Work beside the deliveries. */
interface Disturbance {
  name: string
  env?: FlatEnv
  run: (place: Place) => Promise<void>
}

interface Place {
  port: number
  reader: Session
  database: DatabaseConfig
  /** The folder of the checkout whose programs run. */
  folder: string
  signal: AbortSignal
}

interface Deliveries {
  /** In milliseconds. */
  latencies: number[]
  /** The p99 of the delay of this process's event loop, in milliseconds: the load's own share. */
  ownDelay: number
  /** The share of one core that the server used, from 0 to 1. */
  busy: number
}

const SENDS_PER_SECOND = 50
const WARM_UP_SENDS = 100
const LISTED_MESSAGES = 10_000
const LISTED_BOX = 'listed'
const PAGE_MESSAGES = 1000
const PURGED_MESSAGES = 100_000
const PURGED_BOX = 'purged'
const BODY_LENGTH = 300
const GOAL_P99_MS = 50
const ROOT = join(__dirname, '..')

const NOTHING: Disturbance = { name: 'nothing', run: async () => {} }
const LIST: Disturbance = { name: 'list', run: listRepeatedly }
/** The server removes messages beyond their retention as soon as it starts. */
const RETENTION: Disturbance = {
  name: 'retention',
  env: { MESSAGE_RETENTION_DAYS: '1' },
  run: async () => {},
}
const PURGE: Disturbance = {
  name: 'purge',
  run: async (place) => {
    await runProgram(place, 'admin', ['purge', '--box', PURGED_BOX, '--yes'])
  },
}
const BACKUP: Disturbance = {
  name: 'backup',
  run: async (place) => {
    const { filename } = place.database.connection
    while (!place.signal.aborted) await runProgram(place, 'backup', [`${String(filename)}.backup`])
  },
}
const ALL: Disturbance = {
  name: 'all',
  ...(RETENTION.env !== undefined && { env: RETENTION.env }),
  run: async (place) => {
    await Promise.all([LIST, PURGE, BACKUP].map(async ({ run }) => await run(place)))
  },
}
const DISTURBANCES = [NOTHING, LIST, RETENTION, PURGE, BACKUP, ALL]

/** @returns the figures as text */
export async function compareDisturbances(
  databases: DatabaseServer,
  setting: Setting,
): Promise<string> {
  const { plan } = setting
  const template = await createTemplate(databases, setting)
  const folders = [['ours', ROOT], ...(plan.against === undefined ? [] : [['other', plan.against]])]
  const rows: string[][] = []
  for (const disturbance of DISTURBANCES) {
    const results = new Map<string, Deliveries[]>()
    for (let round = 1; round <= plan.rounds; round++) {
      for (const [name, folder] of folders as Array<[string, string]>) {
        progress(`round ${round} of ${plan.rounds}: ${disturbance.name}, ${name}`)
        const result = await measure(template, disturbance, folder, setting)
        results.set(name, [...(results.get(name) ?? []), result])
      }
    }
    for (const [name, rounds] of results) rows.push(describe(disturbance.name, name, rounds))
  }
  progressDone()
  const heading = ['beside', '', 'sends', 'p50 ms', 'p99 ms', '(lowest..highest)', 'longest ms']
  return `${table([[...heading, 'load ms', 'core used', ''], ...rows])}\n\n${LEGEND}`
}

const LEGEND = `Live deliveries, ${SENDS_PER_SECOND} sends a second, from the send to the event.
beside: what runs at the same time, on 100,000 messages and a box of 10,000. retention: the server
removes 100,000 messages; purge: the operator's tool does; all: everything together.
p99 is the median of the rounds; load ms is the p99 of how late the load itself was.
The p99 to reach is under ${GOAL_P99_MS} ms.`

function describe(beside: string, name: string, rounds: Deliveries[]): string[] {
  const all = sorted(rounds.flatMap(({ latencies }) => latencies))
  const p99s = sorted(rounds.map(({ latencies }) => quantile(sorted([...latencies]), 0.99)))
  const p99 = median(p99s)
  const busy = median(sorted(rounds.map((round) => round.busy)))
  return [
    `${beside}, ${name}`,
    '',
    String(all.length),
    figure(quantile(all, 0.5)),
    figure(p99),
    `(${figure(p99s[0])}..${figure(p99s.at(-1))})`,
    figure(all.at(-1)),
    figure(median(sorted(rounds.map(({ ownDelay }) => ownDelay)))),
    `${Math.round(busy * 100)} %`,
    p99 < GOAL_P99_MS ? 'reached' : 'MISSED',
  ]
}

interface Template {
  config: DatabaseConfig
  reader: NativeServerKey
}

/** The database that each measurement begins with. */
async function createTemplate(databases: DatabaseServer, { closing }: Setting): Promise<Template> {
  progress('writing what is listed and removed')
  const { config, knex, drop } = await databases.create()
  closing.add(drop)
  const reader = newWallet()
  await fillBox(knex, newWallet().identityKey, PURGED_BOX, PURGED_MESSAGES, BODY_LENGTH)
  await knex('messages').update({ created_at: 1 })
  await fillBox(knex, reader.identityKey, LISTED_BOX, LISTED_MESSAGES, BODY_LENGTH)
  await knex.raw('pragma wal_checkpoint(truncate)')
  return { config, reader }
}

/** Copies the template to a file beside it, which replaces that of the last measurement. */
function copy({ config }: Template): DatabaseConfig {
  const template = String(config.connection.filename)
  const filename = `${template}.copy`
  for (const suffix of ['-wal', '-shm']) rmSync(filename + suffix, { force: true })
  copyFileSync(template, filename)
  return { ...config, connection: { filename } }
}

async function measure(
  template: Template,
  { env, run }: Disturbance,
  folder: string,
  { plan, closing }: Setting,
): Promise<Deliveries> {
  const database = copy(template)
  const arrangement: Arrangement = folder === ROOT ? 'ours' : { folder }
  const server = await startServer(arrangement, database, undefined, env, plan.profile)
  closing.add(server.stop)
  const stop = new AbortController()
  try {
    const reader = await Session.open(server.port, template.reader)
    const place = { port: server.port, reader, database, folder, signal: stop.signal }
    const origin = `http://127.0.0.1:${server.port}`
    const [sender, listener] = await Promise.all(
      ['sender', 'listener'].map(async () => await new LightSocket(origin).authenticate()),
    )
    const warmUp = await deliver(sender!, listener!, WARM_UP_SENDS)
    if (warmUp.length < WARM_UP_SENDS) throw new Error('a delivery is missing')
    const since = { time: performance.now(), cpu: cpuSeconds(server.pid) ?? 0 }
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const work = run(place)
    work.catch(() => {})
    const count = Math.max(10, (plan.window * SENDS_PER_SECOND * WINDOWS) / 1000)
    const latencies = await deliver(sender!, listener!, count)
    delay.disable()
    const seconds = (performance.now() - since.time) / 1000
    const busy = ((cpuSeconds(server.pid) ?? 0) - since.cpu) / seconds
    stop.abort()
    await work
    sender!.close()
    listener!.close()
    return { latencies, busy, ownDelay: delay.percentile(99) / 1e6 }
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${server.log()}`)
  } finally {
    stop.abort()
    await server.stop()
  }
}

/** A purge takes longer than the other measurements of the benchmark. */
const WINDOWS = 4

/** Sends at the steady rate, whether or not earlier ones have arrived. */
async function deliver(
  sender: LightSocket,
  listener: LightSocket,
  count: number,
): Promise<number[]> {
  const roomId = `${listener.identityKey}-inbox`
  listener.emit('joinRoom', roomId)
  await listener.next('joinedRoom')
  const started = performance.now()
  const deliveries: Array<Promise<number>> = []
  for (let index = 0; index < count; index++) {
    const due = started + (index * 1000) / SENDS_PER_SECOND
    await pause(Math.max(0, due - performance.now()))
    const messageId = `${started} ${index}`
    const since = performance.now()
    sender.emit('sendMessage', {
      roomId,
      message: { messageId, recipient: listener.identityKey, body: 'x'.repeat(BODY_LENGTH) },
    })
    const delivery = listener
      .wait(({ data }) => (data as { messageId?: string }).messageId === messageId)
      .then(() => performance.now() - since)
    // A delivery that fails is reported after the last send.
    delivery.catch(() => {})
    deliveries.push(delivery)
  }
  return await Promise.all(deliveries)
}

/** Lists the whole box page by page, again and again. */
async function listRepeatedly({ port, reader, signal }: Place): Promise<void> {
  const connection = await Connection.open(port)
  for (let page = 0; !signal.aborted; page = (page + 1) % (LISTED_MESSAGES / PAGE_MESSAGES)) {
    const request = reader.sign('/listMessages', {
      messageBox: LISTED_BOX,
      limit: PAGE_MESSAGES,
      offset: page * PAGE_MESSAGES,
    })
    const { status } = await connection.exchange(request)
    if (status !== 200) throw new Error(`a list was answered ${status}`)
  }
  connection.close()
}

/** Runs a program of the operator until it ends or the measurement does. */
async function runProgram(
  { database, folder, signal }: Place,
  name: string,
  args: string[],
): Promise<void> {
  const child = spawn(
    process.execPath,
    [join(folder, 'dist', 'src', 'cli', `${name}.js`), ...args],
    {
      cwd: tmpdir(),
      env: {
        PATH: process.env.PATH,
        NODE_ENV: 'test',
        KNEX_DB_CLIENT: database.client,
        KNEX_DB_CONNECTION: JSON.stringify(database.connection),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-2000)
  })
  const kill = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', kill)
  const [code] = (await once(child, 'close')) as [number | null]
  signal.removeEventListener('abort', kill)
  if (code !== 0 && !signal.aborted) throw new Error(`"${name}" failed:\n${errors}`)
}
