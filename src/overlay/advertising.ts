/** Keeps a server's advertisements up to date: buys missing ones, spends those no longer wanted. */
import type { Transaction, WalletInterface } from '@bsv/sdk'
import type { IdentityKey } from '../contract/protocol'
import type { OverlayNetwork } from './network'
import { exchangeTokens, listTokens, type OwnToken } from './ownTokens'
import { RECIPES, type TokenKind } from './tokens'

export interface Advertising {
  wallet: WalletInterface
  identityKey: IdentityKey
  network: OverlayNetwork
}

export interface WantedTokens {
  host: string
  kinds: TokenKind[]
}

export interface AdvertisingResult {
  /** The kinds that are advertised now, whether new or old. */
  standing: TokenKind[]
  bought: TokenKind[]
  revoked: number
  /** Failures by topic. The wallet keeps the advertisement, and the next run publishes it. */
  faults: Array<{ topic: string; reason: string }>
}

/**
 * Creates the advertisements that are missing and spends those that are not wanted.
 * @throws Error if the wallet fails, for example for lack of money
 */
export async function advertise(
  parts: Advertising,
  { host, kinds }: WantedTokens,
): Promise<AdvertisingResult> {
  const { wallet, identityKey, network } = parts
  const own = await listTokens(wallet, identityKey)
  const kept = kinds.flatMap(
    (kind) => own.findLast((token) => token.kind === kind && token.host === host) ?? [],
  )
  const known = new Map(
    await Promise.all(
      kinds.map(
        async (kind) => [kind, await network.find(RECIPES[kind], identityKey, host)] as const,
      ),
    ),
  )
  const missing = kinds.filter(
    (kind) => known.get(kind)!.length === 0 && !kept.some((token) => token.kind === kind),
  )
  const outdated = own.filter((token) => !kept.includes(token))

  const unpublished = kept.filter(
    ({ kind, txid, outputIndex }) => !known.get(kind)!.includes(`${txid}.${outputIndex}`),
  )
  const faults = await publish(
    parts,
    unpublished.map(({ kind, transaction }) => [RECIPES[kind].topic, transaction]),
  )
  if (missing.length > 0 || outdated.length > 0) {
    faults.push(...(await exchange(parts, outdated, missing, host)))
  }
  const failed = new Set(faults.map(({ topic }) => topic))
  return {
    standing: kinds.filter((kind) => !failed.has(RECIPES[kind].topic)),
    bought: missing,
    revoked: outdated.length,
    faults,
  }
}

/** Spends all advertisements in the wallet. */
export async function revokeAll(parts: Advertising): Promise<AdvertisingResult> {
  const own = await listTokens(parts.wallet, parts.identityKey)
  const faults = own.length === 0 ? [] : await exchange(parts, own, [], '')
  return { standing: [], bought: [], revoked: own.length, faults }
}

/** An advertisement in the wallet, and whether the network knows it. */
export interface ListedToken extends Pick<OwnToken, 'kind' | 'host' | 'txid' | 'outputIndex'> {
  topic: string
  published: boolean
}

export async function listAdvertisements({
  wallet,
  identityKey,
  network,
}: Advertising): Promise<ListedToken[]> {
  return await Promise.all(
    (await listTokens(wallet, identityKey)).map(async ({ kind, host, txid, outputIndex }) => ({
      kind,
      host,
      txid,
      outputIndex,
      topic: RECIPES[kind].topic,
      published: (await network.find(RECIPES[kind], identityKey, host)).includes(
        `${txid}.${outputIndex}`,
      ),
    })),
  )
}

async function exchange(
  parts: Advertising,
  spent: OwnToken[],
  made: TokenKind[],
  host: string,
): Promise<AdvertisingResult['faults']> {
  const transaction = await exchangeTokens(
    parts.wallet,
    parts.identityKey,
    spent,
    made.map((kind) => RECIPES[kind]),
    host,
  )
  const topics = new Set(
    [...made, ...spent.map(({ kind }) => kind)].map((kind) => RECIPES[kind].topic),
  )
  return await publish(
    parts,
    [...topics].map((topic) => [topic, transaction]),
  )
}

async function publish(
  { network }: Advertising,
  publications: Array<[topic: string, transaction: Transaction]>,
): Promise<AdvertisingResult['faults']> {
  const faults: AdvertisingResult['faults'] = []
  for (const [topic, transaction] of publications) {
    await network.publish(topic, transaction).catch(({ message }: Error) => {
      faults.push({ topic, reason: message })
    })
  }
  return faults
}
