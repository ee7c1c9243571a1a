import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { AuthWallet } from '../auth/wallet'
import type { Config } from '../config'
import { createPaymentStore } from '../db/paymentStore'
import type { MessageStore } from '../db/store'
import type { Secret } from '../secret'
import { createCashier, noCashier, type DeliverPaid, type Milestone } from './cashier'
import { Collector } from './collector'
import { createLocks } from './locks'
import { Network } from './network'
import { PaymentVerifier } from './verifier'
import { ServerWallet } from './wallet'

export interface Payments {
  deliver: DeliverPaid
  /** Whether payments can be checked at all. */
  enabled: boolean
  /** Looks after what was left when the server was last here. */
  start: () => void
  close: () => Promise<void>
}

export interface PaymentParts {
  knex: Knex
  store: MessageStore
  wallet: AuthWallet
  privateKey: Secret
  logger: Logger
  reached: (milestone: Milestone) => Promise<void>
}

/** Everything that has to do with money, as far as the configuration allows for it. */
export function createPayments ({ network, payments: { chaintracksUrl, arcUrl, arcApiKey }, wallet: { storageUrl } }: Config, parts: PaymentParts): Payments {
  const { knex, store, wallet, privateKey, logger, reached } = parts
  if (chaintracksUrl === undefined || arcUrl === undefined) return { enabled: false, deliver: noCashier, start () {}, async close () {} }
  const payments = createPaymentStore(knex)
  const verifier = new PaymentVerifier(chaintracksUrl)
  const serverWallet = storageUrl === undefined ? undefined : new ServerWallet({ privateKey, chain: network, storageUrl, chaintracksUrl })
  const collector = new Collector({ knex, payments, wallet: serverWallet, logger, reached })
  return {
    enabled: true,
    deliver: createCashier({
      store,
      payments,
      verifier,
      logger,
      reached,
      locks: createLocks(wallet),
      network: new Network(arcUrl, arcApiKey),
      onStored: () => { collector.wake() }
    }),
    start: () => { collector.start() },
    async close () {
      await collector.stop()
      await verifier.close()
    }
  }
}
