/** A server loads only the packages that its settings need: each takes time and memory. */
import { expect, test } from '@jest/globals'
import { join } from 'node:path'
import type { FlatEnv } from '../../src/config'
import { createDatabase, ENGINES } from '../../tools/databases/databases'
import { ServerProcess } from '../../tools/programs/processes'
import { onEnd } from '../../tools/servers/server'

/** Starts a server, stops it, and returns the names of the packages that it has loaded. */
async function loadedBy(settings: FlatEnv): Promise<string[]> {
  const env = { ...settings, NODE_OPTIONS: `--require ${join(__dirname, 'printPackages.js')}` }
  const server = await ServerProcess.start({ env })
  await server.kill('SIGTERM')
  return JSON.parse(/^packages: (.*)$/m.exec(server.output)![1]!) as string[]
}

const OPTIONAL = [
  '@bsv/sdk',
  '@bsv/wallet-toolbox-client',
  '@opentelemetry/api',
  '@opentelemetry/sdk-trace-node',
  '@redis/client',
  'engine.io',
  'firebase-admin',
  'google-auth-library',
  'pino-pretty',
  'prom-client',
  'socket.io',
  'ws',
]
const DRIVERS = ['better-sqlite3', 'better-sqlite3-13', 'mysql2']

test.each(ENGINES)('%s: the packages of features that are off are not loaded', async (engine) => {
  const database = await createDatabase(engine)
  onEnd(database.drop)
  const loaded = await loadedBy(database.env)
  expect(loaded).toEqual(expect.arrayContaining(['express', 'knex', 'pino', 'secp256k1']))
  expect(loaded.filter((name) => OPTIONAL.includes(name))).toEqual([])
  expect(loaded.filter((name) => DRIVERS.includes(name))).toEqual([
    expect.stringMatching(engine === 'sqlite' ? /^better-sqlite3/ : 'mysql2'),
  ])
})

test('the packages of live messages and metrics are loaded if these are on', async () => {
  const database = await createDatabase('sqlite')
  onEnd(database.drop)
  const loaded = await loadedBy({ ...database.env, ENABLE_WEBSOCKETS: 'true', METRICS_PORT: '0' })
  expect(loaded).toEqual(expect.arrayContaining(['engine.io', 'prom-client', 'socket.io', 'ws']))
})
