import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { ServerKey } from '../auth/serverKey'
import type { Config } from '../config'
import { createPaymentStore } from '../db/payments'
import type { MessageStore } from '../db/messages'
import type { RateLimiter } from '../limits/rates'
import type { Secret } from '../lib/secret'
import type { PriceOf } from '../permissions'
import { TransactionVerifier } from '../spv/verifier'
import { createCashier, noCashier, type DeliverPaid } from './cashier'
import { Collector } from './collector'
import { createLocks } from './lockingScripts'
import { ArcBroadcaster } from './arc'
import { verifyPayments } from './verifier'
import { MoneyWallet } from './moneyWallet'

export interface Payments {
  deliver: DeliverPaid
  /** Whether the server can check payments. */
  enabled: boolean
  /** The wallet that receives money; undefined if none is configured. */
  moneyWallet: MoneyWallet | undefined
  /** Starts the collector, which also collects payments of earlier runs. */
  start: () => void
  close: () => Promise<void>
}

export interface PaymentParts {
  knex: Knex
  store: MessageStore
  serverKey: ServerKey
  privateKey: Secret
  /** Limits the time that transactions of one address take to verify. */
  verification: RateLimiter
  /** Called again just before the broadcast of a payment. */
  priceOf: PriceOf
  logger: Logger
  /** Whether this process collects payments, also those that other workers of the server store. */
  collects: boolean
}

/** Creates the parts that are configured. Payments need a block header service and an ARC. */
export function createPayments(config: Config, parts: PaymentParts): Payments {
  const { chaintracksUrl, arcUrl, arcApiKey } = config.payments
  const { knex, store, serverKey, privateKey, verification, priceOf, logger, collects } = parts
  if (chaintracksUrl === undefined || arcUrl === undefined)
    return {
      enabled: false,
      moneyWallet: undefined,
      deliver: noCashier,
      start() {},
      async close() {},
    }
  const payments = createPaymentStore(knex)
  const verifier = new TransactionVerifier('payment', chaintracksUrl, verification)
  const moneyWallet = createMoneyWallet(config, privateKey)
  const collector = new Collector({ payments, wallet: moneyWallet, logger })
  const start = (): void => {
    if (collects) collector.start()
  }
  return {
    enabled: true,
    moneyWallet,
    deliver: createCashier({
      store,
      payments,
      verify: verifyPayments(verifier),
      priceOf,
      logger,
      locks: createLocks(serverKey),
      network: new ArcBroadcaster(arcUrl, arcApiKey),
      onStored: start,
    }),
    start,
    async close() {
      await collector.stop()
      await verifier.close()
    },
  }
}

/** The server's wallet; undefined if no storage or no block header service is configured. */
export function createMoneyWallet(
  {
    network,
    payments: { chaintracksUrl },
    walletStorage: { url: storageUrl },
  }: Pick<Config, 'network' | 'payments' | 'walletStorage'>,
  privateKey: Secret,
): MoneyWallet | undefined {
  return storageUrl === undefined || chaintracksUrl === undefined
    ? undefined
    : new MoneyWallet({ privateKey, chain: network, storageUrl, chaintracksUrl })
}
