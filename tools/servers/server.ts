/** Starts a real server on a free port, and closes it after the tests of the file. */
import { afterAll, afterEach, expect } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import pino from 'pino'
import { parseConfig, type Config, type FlatEnv } from '../../src/config'
import type { Overrides } from '../../src/context'
import { MessageBoxServer } from '../../src/server'
import { createDatabase, type Engine, type TestDatabase } from '../databases/databases'
import { takeFaults, unwatchAnswers, watchAnswers } from '../contract/documented'
import { UNMETERED } from './unmetered'

export interface TestServer {
  server: MessageBoxServer
  /** The origin with the routing prefix. */
  host: string
  origin: string
  database: TestDatabase
  /**
   * Stops the server and starts one with the same port, database and key. `env` changes settings.
   */
  restart: (env?: FlatEnv) => Promise<void>
  /** The settings of this server, to start another node. */
  env: FlatEnv
}

const closers: Array<() => unknown> = []

/**
 * Runs `close` after the tests of the file, in reverse order: clients close before their server.
 */
export function onEnd(close: () => unknown): void {
  closers.push(close)
}

afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Every answer must match the API's document. */
afterEach(() => {
  expect(takeFaults()).toEqual([])
})

/** A configuration with which a server stops without a delay. */
export function configOf(env: FlatEnv, idleGraceMs = 0): Config {
  const config = parseConfig(env)
  config.http.idleGraceMs = idleGraceMs
  return config
}

export async function startServer({
  engine = 'sqlite',
  env = {},
  overrides = {},
  idleGraceMs,
}: {
  engine?: Engine
  env?: FlatEnv
  overrides?: Overrides
  idleGraceMs?: number
} = {}): Promise<TestServer> {
  const database = await createDatabase(engine)
  onEnd(database.drop)
  return await start(
    database,
    { SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'), ...UNMETERED, ...env },
    overrides,
    idleGraceMs,
  )
}

/** Starts another node with the key, the database and the settings of a server. */
export async function joinServer(
  { database, env }: TestServer,
  { overrides = {} }: { overrides?: Overrides } = {},
): Promise<TestServer> {
  return await start(database, env, overrides)
}

async function start(
  database: TestDatabase,
  env: FlatEnv,
  overrides: Overrides,
  idleGraceMs?: number,
): Promise<TestServer> {
  const create = async (port: number): Promise<MessageBoxServer> => {
    const config = configOf(
      { NODE_ENV: 'test', PORT: String(port), ...database.env, ...running.env },
      idleGraceMs,
    )
    const server = await MessageBoxServer.create(config, {
      logger: pino({ level: 'silent' }),
      ...overrides,
      live: { graceMs: 0, ...overrides.live },
    })
    const opened = await server.start()
    // Overridden authentication gives other answers.
    if (overrides.auth === undefined) watchAnswers(opened, config.http.prefix)
    return server
  }
  const running = { env, database } as TestServer
  const server = await create(0)
  const origin = `http://127.0.0.1:${server.port}`
  Object.assign(running, {
    server,
    origin,
    host: `${origin}${server.context.config.http.prefix}`,
    async restart(changes: FlatEnv = {}) {
      running.env = { ...running.env, ...changes }
      const { port } = running.server
      await running.server.stop()
      // During this failing request, clients of this process notice that their connections closed.
      await fetch(origin).catch(() => {})
      running.server = await create(port)
    },
  })
  const { port } = server
  onEnd(async () => {
    await running.server.stop()
    unwatchAnswers(port)
  })
  return running
}
