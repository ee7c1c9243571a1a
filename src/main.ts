import '../scripts/check-node'
import { announce } from './cli/announce'
import { readConfig } from './cli/environment'
import { explainFailure } from './cli/failure'
import { stopOnSignal } from './cli/signals'
import { MessageBoxServer } from './server'

async function main(): Promise<void> {
  // A full disk, or a reader that has gone, must not stop the server.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const server = await MessageBoxServer.create(readConfig())
  const port = await server.start()
  stopOnSignal(server)
  announce(server.context, port)
}

main().catch(explainFailure)
