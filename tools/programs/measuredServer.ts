/** Program: a server that reports its heap after a garbage collection when its parent asks. */
import { randomBytes } from 'node:crypto'
import pino from 'pino'
import { parseConfig } from '../../src/config'
import { MessageBoxServer } from '../../src/server'
import { UNMETERED } from '../servers/unmetered'

async function main(): Promise<void> {
  const config = parseConfig({
    NODE_ENV: 'test',
    ...UNMETERED,
    PORT: '0',
    SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'),
    KNEX_DB_CLIENT: 'better-sqlite3',
    KNEX_DB_CONNECTION: JSON.stringify({ filename: ':memory:' }),
  })
  const server = await MessageBoxServer.create(config, { logger: pino({ level: 'silent' }) })
  process.send!({ port: await server.start() })
  process.on('message', () => {
    for (let i = 0; i < 4; i++) global.gc!()
    const { heapUsed } = process.memoryUsage()
    process.send!({ heap: heapUsed })
  })
}

void main()
