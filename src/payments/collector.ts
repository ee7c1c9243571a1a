/**
 * Brings into the server's wallet what was paid to it: in the background, from what the database holds, again and
 * again until it is done. To take the same output in twice changes nothing, so nodes need not agree on who does it.
 */
import type { Knex } from 'knex'
import type { Logger } from 'pino'
import { within } from '../lib/timeout'
import { findDue, markSettled, postpone, type DuePayment } from '../db/payments/sql'
import type { PaymentStore } from '../db/payments'
import { query } from '../db/engine/query'
import type { Milestone } from './cashier'
import type { ServerWallet } from './wallet'

/** How often to look, in milliseconds, when nobody says that there is something. */
const INTERVAL = 30_000
/** How many payments to look at together. */
const BATCH = 20
/** How long the wallet may take for one, in milliseconds. */
const TIMEOUT = 30_000
/** How long a stop waits for what is under way, in milliseconds: a payment that is cut off is taken in by the next start. */
const PATIENCE = 2000
/** How long to wait after a failure, in milliseconds: twice as long each time. */
const FIRST_PAUSE = 5000
const LONGEST_PAUSE = 60 * 60 * 1000

export interface CollectorParts {
  knex: Knex
  payments: PaymentStore
  /** Undefined where there is none: what is paid to the server waits in the database. */
  wallet: ServerWallet | undefined
  logger: Logger
  reached: (milestone: Milestone) => Promise<void>
}

export class Collector {
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> = Promise.resolve()
  #waiting = 0
  #stopped = false

  constructor(private readonly parts: CollectorParts) {}

  /** Begins with what was left when the server was last here. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => {
      this.wake()
    }, INTERVAL).unref()
    this.wake()
  }

  /** There is something to do. */
  wake(): void {
    // One round is under way and one may wait for it: that one sees everything.
    if (this.#stopped || this.#waiting > 1) return
    this.#waiting++
    this.#round = this.#round
      .then(async () => {
        await this.#collect()
      })
      .catch((error: unknown) => {
        this.parts.logger.error({ err: error }, 'payments could not be looked after')
      })
      .finally(() => {
        this.#waiting--
      })
  }

  /** Resolves when what is under way is done, or has had its time. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await within(this.#round, PATIENCE, 'the wallet is still at work').catch(
      ({ message }: Error) => {
        this.parts.logger.warn(message)
      },
    )
  }

  async #collect(): Promise<void> {
    const { knex, payments, wallet } = this.parts
    await payments.releaseAbandoned()
    if (wallet === undefined) return
    for (
      let due = await this.#due(knex);
      due.length > 0 && !this.#stopped;
      due = await this.#due(knex)
    ) {
      for (const payment of due) if (!this.#stopped) await this.#takeIn(payment, wallet)
    }
  }

  async #due(knex: Knex): Promise<DuePayment[]> {
    return await query('find payments', async () => await findDue(knex, Date.now(), BATCH))
  }

  async #takeIn(payment: DuePayment, wallet: ServerWallet): Promise<void> {
    const { knex, logger, reached } = this.parts
    const { id, txid, attempts } = payment
    try {
      await within(internalize(payment, wallet), TIMEOUT, 'the wallet does not answer in time')
      await reached('internalized')
      await query('settle payment', async () => {
        await markSettled(knex, id, Date.now())
      })
      await reached('settled')
    } catch (error) {
      const pause = Math.min(FIRST_PAUSE * 2 ** attempts, LONGEST_PAUSE)
      const { message } = error as Error
      logger.warn(
        { txid, attempts: attempts + 1, seconds: pause / 1000, fault: message.slice(0, 300) },
        'a payment could not be taken into the wallet yet',
      )
      await query('postpone payment', async () => {
        await postpone(knex, id, Date.now() + pause, message, Date.now())
      })
    }
  }
}

async function internalize(
  { beef, serverOutputs }: DuePayment,
  wallet: ServerWallet,
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
