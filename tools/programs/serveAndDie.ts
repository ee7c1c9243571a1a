/** A program: serves, and kills itself when a payment is at the point that its argument names. */
import { parseConfig, readEnv } from '../../src/config'
import type { Context } from '../../src/context'
import { MessageBoxServer } from '../../src/server'

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

interface Query {
  sql: string
  bindings?: unknown[]
}

const isClaim = ({ sql }: Query): boolean => /^insert into .payment_outpoints/.test(sql)
const isSettling = ({ sql, bindings }: Query): boolean =>
  /^update .payments/.test(sql) && bindings?.includes('settled') === true

const KILL_POINTS = {
  /** The payment is verified, and not claimed yet. */
  verified: ({ knex }) => {
    knex.on('query', (query: Query) => {
      if (isClaim(query)) die()
    })
  },
  /** The claim is committed, and the rules are about to be read again. */
  claimed: ({ knex, rules }) => {
    const { about } = rules
    let isClaimed = false
    knex.on('query', (query: Query) => {
      isClaimed ||= isClaim(query)
    })
    rules.about = async (requests) => {
      if (isClaimed) die()
      return await about(requests)
    }
  },
  /** ARC has accepted the transaction, and the message is not stored yet. */
  accepted: ({ store }) => {
    store.insert = async () => {
      die()
      return await new Promise(() => {})
    }
  },
  /** The message is stored, and the sender has no answer yet. */
  stored: ({ store }) => {
    const { insert } = store
    store.insert = async (...args) => {
      const stored = await insert(...args)
      die()
      return stored
    }
  },
  /** The server's wallet has the output, and the database does not know it yet. */
  internalized: ({ knex }) => {
    knex.on('query', (query: Query) => {
      if (isSettling(query)) die()
    })
  },
  /** The database knows that the server's wallet has the output. */
  settled: ({ knex }) => {
    knex.on('query-response', (_response: unknown, query: Query) => {
      if (isSettling(query)) die()
    })
  },
} satisfies Record<string, (context: Context) => void>

export type KillPoint = keyof typeof KILL_POINTS

async function main(): Promise<void> {
  const server = await MessageBoxServer.create(parseConfig(readEnv(process.env)))
  KILL_POINTS[process.argv[2] as KillPoint](server.context)
  process.stdout.write(`serves ${await server.start()}\n`)
}

if (require.main === module) void main()
