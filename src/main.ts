import '../scripts/check-node'
import { NativeServerKey } from './auth/serverKey'
import { createTemporaryKey } from './auth/temporaryKey'
import { announce } from './cli/announce'
import { readSettings } from './cli/environment'
import { explainFailure } from './cli/failure'
import { ignoreSignals, stopOnSignal } from './cli/signals'
import { parseConfig, VARIABLES, type Config, type FlatEnv } from './config'
import { createLogger } from './logger'
import { MessageBoxServer } from './server'
import { Worker } from './workers/worker'
import { WorkerFailure } from './workers/workerProcess'

/** The variable in which a supervisor gives a worker its assignment. */
const ASSIGNMENT = 'MESSAGEBOX_WORKER'

async function main(): Promise<void> {
  // A full disk, or a reader that has gone, must not stop the server.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const settings = readSettings()
  const config = parseConfig(settings)
  const assignment = process.env[ASSIGNMENT]
  if (assignment !== undefined) await work(config, new Worker(JSON.parse(assignment)))
  else if (config.workers > 1) await supervise(config, settings)
  else await serve(config)
}

async function serve(config: Config): Promise<void> {
  const server = await MessageBoxServer.create(config)
  const port = await server.start()
  const { logger } = server.context
  const { shutdownTimeoutMs } = config.http
  stopOnSignal({ stop: async () => await server.stop(), shutdownTimeoutMs, logger })
  announce(server.context, port)
}

async function supervise(config: Config, settings: FlatEnv): Promise<void> {
  const logger = createLogger(config)
  const privateKey = config.auth.privateKey ?? createTemporaryKey(logger)
  // Workers that start later get the same settings, even if .env has changed.
  const env: NodeJS.ProcessEnv = {
    ...Object.fromEntries(VARIABLES.map((name) => [name, settings[name] ?? ''])),
    SERVER_PRIVATE_KEY: privateKey.reveal(),
  }
  // Loaded here, so that a server of one process does not load it.
  const { Supervisor } = require('./workers/supervisor') as typeof import('./workers/supervisor')
  const supervisor = new Supervisor({
    config,
    logger,
    createEnv: (assignment) => ({ ...env, [ASSIGNMENT]: JSON.stringify(assignment) }),
  })
  const port = await supervisor.start()
  const { shutdownTimeoutMs } = config.http
  stopOnSignal({ stop: async () => await supervisor.stop(), shutdownTimeoutMs, logger })
  announce({ config, logger, serverKey: new NativeServerKey(privateKey) }, port)
}

async function work(config: Config, worker: Worker): Promise<void> {
  ignoreSignals()
  const server = await MessageBoxServer.create(config, { worker })
  worker.on('stop', ({ timeoutMs }) => {
    server.stop(timeoutMs).then(() => process.exit(0), explainFailure)
  })
  worker.tell({ kind: 'listening', port: await server.start() })
}

main().catch((error: unknown) => {
  // The worker has said why.
  if (error instanceof WorkerFailure) process.exit(error.exitCode)
  explainFailure(error)
})
