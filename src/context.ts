import type { RequestHandler } from 'express'
import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import { Brc103 } from './auth/brc103'
import { httpAuth } from './auth/http'
import { MemoryReplayGuard } from './auth/replay'
import { deriveSealingKey, SessionSealer } from './auth/session'
import { NativeWallet, type AuthWallet } from './auth/wallet'
import type { Config } from './config'
import { createKnex } from './db/knex'
import { createMessageStore, type MessageStore } from './db/store'
import { createLogger } from './logger'
import { allowAll, createMailbox, type Mailbox, type Policy, type Publish } from './mailbox'
import { Secret } from './secret'
import type { AuthSocketServerOptions } from './ws/authSocketServer'
import { Hub } from './ws/hub'

/** Everything that lives as long as the server does, built once and passed down. */
export interface Context {
  config: Config
  logger: Logger
  knex: Knex
  wallet: AuthWallet
  brc103: Brc103
  /** Express middlewares that answer the handshake and set `req.auth.identityKey`. */
  auth: RequestHandler[]
  store: MessageStore
  hub: Hub
  mailbox: Mailbox
  /** How the live layer is set up; see `config.live` for whether it is. */
  live: AuthSocketServerOptions
}

/** What whoever embeds the server may put in place of its own parts. */
export interface Overrides {
  logger?: Logger
  wallet?: AuthWallet
  auth?: RequestHandler[]
  policy?: Policy
  live?: AuthSocketServerOptions
}

export async function createContext (config: Config, overrides: Overrides = {}): Promise<Context> {
  const logger = overrides.logger ?? createLogger(config)
  const wallet = overrides.wallet ?? new NativeWallet(config.auth.privateKey ?? makeKey(logger))
  const sealer = new SessionSealer(await deriveSealingKey(wallet), config.auth.sessionTtl)
  const brc103 = new Brc103(wallet, sealer, new MemoryReplayGuard())
  const knex = createKnex(config.db)
  const store = createMessageStore({ knex, logger, maxPageBytes: config.mailbox.maxPageBytes })
  const hub = new Hub()
  const mailbox = createMailbox({ store, policy: overrides.policy ?? allowAll, publish: guard(hub.publish, logger) })
  const auth = overrides.auth ?? httpAuth({ brc103, maxBodyBytes: config.http.maxBodyBytes })
  return { config, logger, knex, wallet, brc103, auth, store, hub, mailbox, live: overrides.live ?? {} }
}

/** Telling is best effort: nothing that goes wrong there may reach whoever stored the message. */
function guard (publish: Publish, logger: Logger): Publish {
  return message => {
    try {
      publish(message)
    } catch (error) {
      logger.error({ err: error }, 'a live message was not delivered')
    }
  }
}

function makeKey (logger: Logger): Secret {
  logger.warn('SERVER_PRIVATE_KEY is not set: this run has an identity of its own, and its sessions end with it')
  return new Secret(randomBytes(32).toString('hex'))
}
