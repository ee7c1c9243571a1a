import dotenv from 'dotenv'
import { announce } from './cli/announce'
import { explainFailure } from './cli/failure'
import { stopOnSignal } from './cli/signals'
import { parseConfig, readEnv } from './config'
import { MessageBoxServer } from './server'

async function main (): Promise<void> {
  dotenv.config({ quiet: true })
  const server = await MessageBoxServer.create(parseConfig(readEnv(process.env)))
  const port = await server.start()
  announce(server.context, port)
  stopOnSignal(server)
}

main().catch(explainFailure)
