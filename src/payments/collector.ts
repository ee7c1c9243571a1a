/**
 * Moves payments to the server from the payments table into its wallet, in the background. Retries
 * after a failure. The wallet ignores an output that it has, so nodes need no coordination.
 */
import type { Logger } from 'pino'
import { PeriodicJob } from '../lib/periodic'
import { withTimeout } from '../lib/timeout'
import type { DuePayment, PaymentStore } from '../db/payments'
import type { MoneyWallet } from './moneyWallet'

const COLLECT_INTERVAL_MS = 30_000
const BATCH_PAYMENTS = 20
const INTERNALIZE_TIMEOUT_MS = 30_000
/** If a stop interrupts a collection, the server repeats it after the next start. */
const STOP_TIMEOUT_MS = 2000
/** The pause before a retry doubles after each failure. */
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
      intervalMs: COLLECT_INTERVAL_MS,
      onError: (error) => {
        parts.logger.error({ err: error }, 'the server could not collect payments')
      },
    })
  }

  /** Collects due payments now, then at intervals. */
  start(): void {
    this.#job.start()
  }

  async stop(): Promise<void> {
    if (!(await this.#job.stop(STOP_TIMEOUT_MS)))
      this.parts.logger.warn('the server stops while its wallet still takes a payment')
  }

  async #collect(): Promise<void> {
    const { payments, wallet } = this.parts
    await payments.releaseAbandoned()
    if (wallet === undefined) return
    for (
      let due = await payments.due(BATCH_PAYMENTS);
      due.length > 0 && !this.#job.isStopped;
      due = await payments.due(BATCH_PAYMENTS)
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
        'the wallet could not take a payment yet',
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
