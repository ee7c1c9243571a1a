/** Kills a server, or its MariaDB, again and again under load, and counts what became of the messages. */
import { setTimeout as pause } from 'node:timers/promises'
import { PrivateMariadb } from '../helpers/mariadb'
import { createDatabase, type TestDatabase } from '../helpers/databases'
import { eventually, ServerProcess } from '../helpers/processes'
import { audit, type Counts } from './audit'
import { Load } from './load'

/** What is killed: the server on one of its databases, or a MariaDB from under the server. */
export const VICTIMS = ['sqlite', 'mysql', 'mariadb'] as const
export type Victim = typeof VICTIMS[number]

export interface CrashOptions {
  kills: number
  /** Whether the server runs from its build. */
  build?: boolean
  /** Further options of MariaDB, for trying what a lesser durability shows. */
  mariadbOptions?: string[]
}

/** How many sends are answered between two kills, at least, and how long the load then goes on, at most (ms). */
const ANSWERS_BETWEEN = 60
const LONGEST_WAIT = 500
/** Within this time everything works again once what was killed is back, in milliseconds. */
const RECOVERY = 15_000

export async function crash (victim: Victim, { kills, build, mariadbOptions }: CrashOptions): Promise<Counts> {
  const database = victim === 'mariadb' ? await PrivateMariadb.create(mariadbOptions) : await createDatabase(victim)
  try {
    const server = await ServerProcess.start({ env: database.env, build })
    try {
      return database instanceof PrivateMariadb
        ? await killUnderLoad(server, database, database, kills)
        : await killUnderLoad(server, database, server, kills)
    } finally {
      await server.kill()
    }
  } finally {
    await database.drop()
  }
}

interface Mortal { kill: () => Promise<void>, start: () => Promise<void> }

/** The last kill ends the load too: what was under way then stays without an answer, stored or not. */
async function killUnderLoad (server: ServerProcess, database: TestDatabase, mortal: Mortal, kills: number): Promise<Counts> {
  const load = await Load.start(server.origin)
  const { ledger } = load
  for (let kill = 1; kill <= kills; kill++) {
    const before = ledger.answers
    await eventually(() => ledger.answers >= before + ANSWERS_BETWEEN || undefined,
      () => `The load came to a standstill before kill ${kill}: ${ledger.faults.slice(0, 5).join('; ')}\n${server.output.slice(-2000)}`, RECOVERY)
    await pause(Math.random() * LONGEST_WAIT)
    const failures = ledger.unanswered + ledger.refused
    await mortal.kill()
    await eventually(() => ledger.unanswered + ledger.refused > failures || undefined, () => 'Nobody noticed the kill', RECOVERY)
    if (kill === kills) await load.stop()
    await mortal.start()
  }
  await eventually(async () => (await fetch(`${server.origin}/ready`)).ok || undefined, () => 'The server is not ready again', RECOVERY)
  const counts = await audit(load, database.config)
  if (mortal !== server && !server.running) counts.faults.push('The server ended')
  return counts
}
