/** Program: serves and kills itself as soon as a payment reaches a milestone. */
import { parseConfig, readEnv } from '../../src/config'
import { MessageBoxServer } from '../../src/server'

const [, , fatal] = process.argv

async function main(): Promise<void> {
  const server = await MessageBoxServer.create(parseConfig(readEnv(process.env)), {
    async reached(milestone) {
      if (milestone === fatal) process.kill(process.pid, 'SIGKILL')
    },
  })
  process.stdout.write(`serves ${await server.start()}\n`)
}

void main()
