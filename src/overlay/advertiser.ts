/** Advertises the server in the background: at start, daily, and sooner after a failure. */
import type { Logger } from 'pino'
import type { ServerKey } from '../auth/serverKey'
import type { Config } from '../config'
import { PeriodicJob } from '../lib/periodic'
import type { MoneyWallet } from '../payments/moneyWallet'
import type { Worker } from '../workers/worker'
import { DAY } from '../config/parsers'
import { advertise, type AdvertisingResult } from './advertising'
import { OverlayNetwork } from './network'
import { RECIPES, type TokenKind } from './tokens'

/** The pause before a retry doubles after each failure, up to a day. */
const MIN_RETRY_PAUSE_MS = 5 * 60 * 1000
/** After the next start, the server continues with the advertisements in its wallet. */
const STOP_TIMEOUT_MS = 2000

/** The state of the server's advertisements, as `/info` shows it. */
interface AdvertisingState {
  host: string
  topics: string[]
  /** The time of the last check, in ISO 8601; null before the first. */
  checkedAt: string | null
  /** Why the server is not advertised. */
  fault: string | null
}

export interface Advertiser {
  /** Undefined if the server does not advertise itself. */
  readonly state: AdvertisingState | undefined
  start: () => void
  stop: () => Promise<void>
}

export interface AdvertiserParts {
  /** Undefined if none is configured. */
  moneyWallet: MoneyWallet | undefined
  serverKey: ServerKey
  logger: Logger
  /** Undefined if the server is one process. */
  worker: Worker | undefined
}

export function createAdvertiser(
  config: Config,
  { moneyWallet, serverKey, logger, worker }: AdvertiserParts,
): Advertiser {
  const { hostingDomain } = config.http
  if (!config.advertise || hostingDomain === undefined || moneyWallet === undefined)
    return { state: undefined, start() {}, async stop() {} }
  if (worker?.isFirst === false) return followFirstWorker(worker, hostingDomain)
  const network = new OverlayNetwork(config.network)
  const wanted = { host: hostingDomain, kinds: wantedKinds(config) }
  return new BackgroundAdvertiser(
    hostingDomain,
    async () =>
      await advertise(
        { wallet: await moneyWallet.get(), identityKey: serverKey.identityKey, network },
        wanted,
      ),
    logger,
    (state) => {
      worker?.tell({ kind: 'advertising', state })
    },
  )
}

/** The first worker advertises the server. The others show its state. */
function followFirstWorker(worker: Worker, host: string): Advertiser {
  const state = createState(host)
  worker.on('advertising', (message) => {
    Object.assign(state, message.state)
  })
  return { state, start() {}, async stop() {} }
}

function createState(host: string): AdvertisingState {
  return { host, topics: [], checkedAt: null, fault: null }
}

/** A server advertises its host; with the overlay on, also its topic and lookup service. */
export function wantedKinds({ overlay }: Pick<Config, 'overlay'>): TokenKind[] {
  return overlay.enabled ? ['SHIP', 'SLAP', 'host'] : ['host']
}

class BackgroundAdvertiser implements Advertiser {
  readonly state: AdvertisingState
  readonly #job: PeriodicJob
  #failures = 0

  constructor(
    host: string,
    private readonly advertise: () => Promise<AdvertisingResult>,
    private readonly logger: Logger,
    private readonly onChecked: (state: AdvertisingState) => void,
  ) {
    this.state = createState(host)
    this.#job = new PeriodicJob({
      run: async () => {
        await this.#try()
      },
      intervalMs: () =>
        this.#failures === 0 ? DAY : Math.min(MIN_RETRY_PAUSE_MS * 2 ** (this.#failures - 1), DAY),
      onError: (error) => {
        logger.error({ err: error }, 'the server could not check its advertisements')
      },
    })
  }

  start(): void {
    this.#job.start()
  }

  async stop(): Promise<void> {
    if (!(await this.#job.stop(STOP_TIMEOUT_MS)))
      this.logger.warn('the server stops while it still updates its advertisements')
  }

  async #try(): Promise<void> {
    try {
      const { standing, bought, revoked, faults } = await this.advertise()
      if (bought.length > 0 || revoked > 0)
        this.logger.info({ bought, revoked }, 'the server updated its advertisements')
      if (faults.length > 0)
        this.logger.warn(
          { faults },
          "the overlay network does not accept all of the server's advertisements yet",
        )
      this.#note(
        standing,
        faults.length === 0
          ? null
          : faults.map(({ topic, reason }) => `${topic}: ${reason}`).join(' '),
      )
    } catch (error) {
      // The error's text may hold private data: it goes to the log only.
      this.logger.warn({ err: error }, 'the server could not be advertised yet')
      this.#note(
        undefined,
        (error as Error).name === 'WERR_INSUFFICIENT_FUNDS'
          ? "The server's wallet does not have enough money."
          : "The server's wallet failed.",
      )
    }
  }

  /** @param standing undefined if unknown: the state stays as it was */
  #note(standing: TokenKind[] | undefined, fault: string | null): void {
    this.#failures = fault === null ? 0 : this.#failures + 1
    Object.assign(this.state, {
      topics: standing?.map((kind) => RECIPES[kind].topic) ?? this.state.topics,
      checkedAt: new Date().toISOString(),
      fault,
    } satisfies Partial<AdvertisingState>)
    this.onChecked(this.state)
  }
}
