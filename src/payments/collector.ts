/**
 * Moves what the server was paid into its wallet, in the background, from the payments table. A failed
 * payment is tried again. The wallet ignores an output that it has, so nodes need no coordination.
 */
import type { Logger } from 'pino'
import { PeriodicJob } from '../lib/periodic'
import { withTimeout } from '../lib/timeout'
import type { DuePayment, PaymentStore } from '../db/payments'
import type { MoneyWallet } from './moneyWallet'

const INTERVAL_MS = 30_000
const BATCH = 20
const INTERNALIZE_TIMEOUT_MS = 30_000
/** A payment that a stop cuts off is collected after the next start. */
const STOP_TIMEOUT_MS = 2000
/** The pause after a failure doubles each time. */
const MIN_RETRY_PAUSE_MS = 5000
const MAX_RETRY_PAUSE_MS = 60 * 60 * 1000

export interface CollectorParts {
  payments: PaymentStore
  /** If undefined, payments to the server wait in the database. */
  wallet: MoneyWallet | undefined
  logger: Logger
}

export class Collector {
  readonly #job: PeriodicJob

  constructor(private readonly parts: CollectorParts) {
    this.#job = new PeriodicJob({
      run: async () => {
        await this.#collect()
      },
      intervalMs: INTERVAL_MS,
      onError: (error) => {
        parts.logger.error({ err: error }, 'payments could not be looked after')
      },
    })
  }

  /** Collects what is due now, then at intervals. */
  start(): void {
    this.#job.start()
  }

  async stop(): Promise<void> {
    if (!(await this.#job.stop(STOP_TIMEOUT_MS)))
      this.parts.logger.warn('the wallet is still at work')
  }

  async #collect(): Promise<void> {
    const { payments, wallet } = this.parts
    await payments.releaseAbandoned()
    if (wallet === undefined) return
    for (
      let due = await payments.due(BATCH);
      due.length > 0 && !this.#job.isStopped;
      due = await payments.due(BATCH)
    ) {
      for (const payment of due) if (!this.#job.isStopped) await this.#takeIn(payment, wallet)
    }
  }

  async #takeIn(payment: DuePayment, wallet: MoneyWallet): Promise<void> {
    const { payments, logger } = this.parts
    const { id, txid, attempts } = payment
    try {
      await withTimeout(
        internalize(payment, wallet),
        INTERNALIZE_TIMEOUT_MS,
        'the wallet does not answer in time',
      )
      await payments.settle(id)
    } catch (error) {
      const pause = Math.min(MIN_RETRY_PAUSE_MS * 2 ** attempts, MAX_RETRY_PAUSE_MS)
      const { message } = error as Error
      logger.warn(
        { txid, attempts: attempts + 1, seconds: pause / 1000, fault: message.slice(0, 300) },
        'a payment could not be taken into the wallet yet',
      )
      await payments.postpone(id, Date.now() + pause, message)
    }
  }
}

async function internalize(
  { beef, serverOutputs }: DuePayment,
  wallet: MoneyWallet,
): Promise<void> {
  const { accepted } = await (
    await wallet.get()
  ).internalizeAction({
    tx: [...beef],
    outputs: serverOutputs.map(({ outputIndex, ...paymentRemittance }) => ({
      outputIndex,
      protocol: 'wallet payment',
      paymentRemittance,
    })),
    description: 'Delivery fee of a message',
  })
  if (!accepted) throw new Error('the wallet does not accept it')
}
