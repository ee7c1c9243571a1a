import dotenv from 'dotenv'
import { announce } from './cli/announce'
import { explainFailure } from './cli/failure'
import { parseConfig, readEnv } from './config'
import { MessageBoxServer } from './server'

async function main (): Promise<void> {
  dotenv.config({ quiet: true })
  const server = await MessageBoxServer.create(parseConfig(readEnv(process.env)))
  const port = await server.start()
  announce(server.context, port)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      void server.stop().then(() => {
        server.context.logger.info('stopped')
        process.exit(0)
      }).catch(explainFailure)
    })
  }
}

main().catch(explainFailure)
