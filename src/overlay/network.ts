/** The overlay network, through the SDK: submits to topics and asks lookup services. */
import type { Transaction } from '@bsv/sdk'
import { withTimeout } from '../lib/timeout'
import type { IdentityKey } from '../contract/protocol'
import type { Network as Chain } from '../config/parsers'
import { loadSdk, scriptOf } from './ownTokens'
import { readToken, type TokenRecipe } from './tokens'

const NETWORK_TIMEOUT_MS = 30_000

const PRESETS = { main: 'mainnet', test: 'testnet', local: 'local' } as const

export class OverlayNetwork {
  constructor(private readonly chain: Chain) {}

  /** The outpoints of an identity's tokens at a host; none if the network does not answer. */
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
        NETWORK_TIMEOUT_MS,
        'no node answers',
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
      // The caller then publishes the wallet's advertisements again.
      return []
    }
  }

  /** @throws Error if no node accepts it */
  async publish(topic: string, transaction: Transaction): Promise<void> {
    const { TopicBroadcaster } = loadSdk()
    const result = await withTimeout(
      new TopicBroadcaster([topic], { networkPreset: PRESETS[this.chain] }).broadcast(transaction),
      NETWORK_TIMEOUT_MS,
      'no node answers',
    )
    if (result.status !== 'success') throw new Error(result.description)
  }
}

/** @returns undefined if the node's answer is not a valid BEEF */
function parse(beef: number[]): Transaction | undefined {
  try {
    return loadSdk().Transaction.fromBEEF(beef)
  } catch {
    return undefined
  }
}
