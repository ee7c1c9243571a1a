/** Kills a server or its MariaDB repeatedly under load and counts the messages afterwards. */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { PrivateGalera } from '../databases/galera'
import { PrivateMariadb } from '../databases/mariadb'
import { createDatabase, type TestDatabase } from '../databases/databases'
import { eventually, ServerProcess } from '../programs/processes'
import { audit, type Counts } from './audit'
import { Load } from './load'

/** What is killed: the server on SQLite or MySQL, its MariaDB, or a node of its Galera cluster. */
export const VICTIMS = ['sqlite', 'mysql', 'mariadb', 'galera'] as const
export type Victim = (typeof VICTIMS)[number]

export interface CrashOptions {
  kills: number
  /** Whether the server runs from its build. */
  build?: boolean
  /** Additional options of MariaDB, to try weaker durability. */
  mariadbOptions?: string[]
}

/** The minimum of answered sends between kills. */
const ANSWERS_BETWEEN = 60
/** A kill follows within this time. */
const MAX_KILL_DELAY_MS = 500
const RECOVERY_TIMEOUT_MS = 15_000

export async function crash(
  victim: Victim,
  { kills, build, mariadbOptions }: CrashOptions,
): Promise<Counts> {
  if (victim === 'galera') return await crashCluster(kills, build)
  const database =
    victim === 'mariadb'
      ? await PrivateMariadb.create(mariadbOptions)
      : await createDatabase(victim)
  try {
    const server = await ServerProcess.start({ env: database.env, build })
    try {
      return await killUnderLoad(
        [server],
        database,
        database instanceof PrivateMariadb ? database : server,
        kills,
      )
    } finally {
      await server.kill()
    }
  } finally {
    await database.drop()
  }
}

/** Two servers on nodes of their own store to the same inboxes. The second node is killed. */
async function crashCluster(kills: number, build = false): Promise<Counts> {
  const cluster = await PrivateGalera.create()
  const [first, second] = cluster.nodes as [PrivateMariadb, PrivateMariadb]
  const SERVER_PRIVATE_KEY = randomBytes(32).toString('hex')
  try {
    // At once, so that both find an empty database.
    const servers = await Promise.all(
      [first, second].map(
        async ({ env }) =>
          await ServerProcess.start({ env: { SERVER_PRIVATE_KEY, ...env }, build }),
      ),
    )
    try {
      return await killUnderLoad(servers, first, second, kills)
    } finally {
      await Promise.all(
        servers.map(async (server) => {
          await server.kill()
        }),
      )
    }
  } finally {
    await cluster.drop()
  }
}

interface Mortal {
  kill: () => Promise<void>
  start: () => Promise<void>
}

/** The last kill also ends the load: requests in progress stay unanswered, stored or not. */
async function killUnderLoad(
  servers: ServerProcess[],
  database: TestDatabase,
  mortal: Mortal,
  kills: number,
): Promise<Counts> {
  const load = await Load.start(servers.map(({ origin }) => origin))
  const { ledger } = load
  for (let kill = 1; kill <= kills; kill++) {
    const before = ledger.answers
    await eventually(
      () => ledger.answers >= before + ANSWERS_BETWEEN || undefined,
      () =>
        [
          `The load stopped before kill ${kill}: ${ledger.faults.slice(0, 5).join('; ')}`,
          ...servers.map(({ output }) => output.slice(-2000)),
        ].join('\n'),
      RECOVERY_TIMEOUT_MS,
    )
    await pause(Math.random() * MAX_KILL_DELAY_MS)
    const failures = ledger.unanswered + ledger.refused
    await mortal.kill()
    await eventually(
      () => ledger.unanswered + ledger.refused > failures || undefined,
      () => 'No client noticed the kill',
      RECOVERY_TIMEOUT_MS,
    )
    if (kill === kills) await load.stop()
    await mortal.start()
  }
  for (const { origin } of servers) {
    await eventually(
      async () => (await fetch(`${origin}/ready`)).ok || undefined,
      () => 'The server is not ready again',
      RECOVERY_TIMEOUT_MS,
    )
  }
  const counts = await audit(load, database.config)
  for (const server of servers)
    if (mortal !== server && !server.running) counts.faults.push('The server ended')
  return counts
}
