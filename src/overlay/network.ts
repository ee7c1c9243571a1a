/** The overlay network as its clients see it, through the SDK: where topics are taken, and services asked. */
import type { Transaction } from '@bsv/sdk'
import { withTimeout } from '../lib/timeout'
import type { IdentityKey } from '../contract/protocol'
import type { Network as Chain } from '../config/parsers'
import { scriptOf } from './ownTokens'
import { loadSdk } from './sdk'
import { readToken, type TokenRecipe } from './tokens'

/** How long the network may take for one question or one transaction. */
const TIMEOUT_MS = 30_000

const PRESETS = { main: 'mainnet', test: 'testnet', local: 'local' } as const

export class OverlayNetwork {
  constructor(private readonly chain: Chain) {}

  /** The outpoints of an identity's tokens of a kind at a host, as far as the network knows of them; none where it does not answer. */
  async find(
    { kind, service, subject }: TokenRecipe,
    identityKey: IdentityKey,
    host: string,
  ): Promise<string[]> {
    const { LookupResolver } = loadSdk()
    const about =
      kind === 'SHIP' ? { topics: [subject] } : kind === 'SLAP' ? { service: subject } : {}
    try {
      const { outputs } = await withTimeout(
        new LookupResolver({ networkPreset: PRESETS[this.chain] }).query({
          service,
          query: { identityKey, ...about },
        }),
        TIMEOUT_MS,
        'nobody answers',
      )
      return outputs.flatMap(({ beef, outputIndex }) => {
        const transaction = parse(beef)
        const token =
          transaction === undefined
            ? undefined
            : readToken(scriptOf(transaction, outputIndex), identityKey)
        return token?.kind === kind && token.host === host
          ? [`${transaction!.id('hex')}.${outputIndex}`]
          : []
      })
    } catch {
      // Nothing is known then, which is no failure: what the wallet has is published once more.
      return []
    }
  }

  /** @throws Error where no node takes it */
  async publish(topic: string, transaction: Transaction): Promise<void> {
    const { TopicBroadcaster } = loadSdk()
    const result = await withTimeout(
      new TopicBroadcaster([topic], { networkPreset: PRESETS[this.chain] }).broadcast(transaction),
      TIMEOUT_MS,
      'nobody answers',
    )
    if (result.status !== 'success') throw new Error(result.description)
  }
}

/** What a node answers with may be anything. */
function parse(beef: number[]): Transaction | undefined {
  try {
    return loadSdk().Transaction.fromBEEF(beef)
  } catch {
    return undefined
  }
}
