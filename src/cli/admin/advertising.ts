/** Commands that advertise the server, revoke its advertisements, and list them. */
import { NativeServerKey } from '../../auth/serverKey'
import type { Config } from '../../config'
import { wantedKinds } from '../../overlay/advertiser'
import {
  advertise as publish,
  listAdvertisements,
  revokeAll,
  type Advertising,
  type AdvertisingResult,
} from '../../overlay/advertising'
import { OverlayNetwork } from '../../overlay/network'
import { RECIPES, type TokenKind } from '../../overlay/tokens'
import { createMoneyWallet } from '../../payments'
import { UsageError } from '../failure'
import { foreign } from '../wording'
import type { Outcome } from './command'

/**
 * Advertises the server, and revokes advertisements of other addresses.
 * @param config must be valid for ADVERTISE=true
 */
export async function advertise(config: Config): Promise<Outcome> {
  const host = config.http.hostingDomain!
  const result = await publish(await open(config), { host, kinds: wantedKinds(config) })
  const { bought, revoked, standing } = result
  return report(
    { host, ...describe(result) },
    [
      bought.length === 0
        ? `${host} is advertised already`
        : `${host} is advertised now: ${topics(bought).join(', ')}`,
      `standing: ${topics(standing).join(', ')}`,
      ...(revoked === 0 ? [] : [`revoked: ${revoked}`]),
    ],
    result,
  )
}

export async function revoke(config: Config): Promise<Outcome> {
  const result = await revokeAll(await open(config))
  return report(
    describe(result),
    [
      result.revoked === 0 ? 'there is nothing to revoke' : `revoked: ${result.revoked}`,
      ...(config.advertise
        ? [
            'ADVERTISE=true is set: ' +
              'the server advertises itself again, at its next start or within a day',
          ]
        : []),
    ],
    result,
  )
}

export async function advertisements(config: Config): Promise<Outcome> {
  const found = await listAdvertisements(await open(config))
  return {
    json: { advertisements: found.map(({ kind: _kind, ...advertisement }) => advertisement) },
    text: [
      found.length === 0 ? 'the server is not advertised' : `advertisements: ${found.length}`,
      ...found.map(
        ({ topic, host, txid, outputIndex, published }) =>
          `${topic} ${host} ${txid}.${outputIndex}` +
          (published ? '' : ' (the overlay network does not know of it)'),
      ),
    ].join('\n'),
  }
}

/** @throws UsageError if there is no wallet */
async function open(config: Config): Promise<Advertising> {
  const { auth, network } = config
  if (auth.privateKey === undefined)
    throw new UsageError('SERVER_PRIVATE_KEY is not set: there is no identity to advertise.')
  const wallet = createMoneyWallet(config, auth.privateKey)
  if (wallet === undefined)
    throw new UsageError(
      'The server has no wallet: set WALLET_STORAGE_URL, and on a local network CHAINTRACKS_URL.',
    )
  return {
    wallet: await wallet.get(),
    identityKey: new NativeServerKey(auth.privateKey).identityKey,
    network: new OverlayNetwork(network),
  }
}

function report(json: object, lines: string[], { faults }: AdvertisingResult): Outcome {
  return {
    json,
    text: [
      ...lines,
      ...faults.map(({ topic, reason }) => `${topic} does not take it yet: ${foreign(reason)}`),
    ].join('\n'),
    ...(faults.length > 0 && { failed: true }),
  }
}

function describe({ standing, bought, revoked, faults }: AdvertisingResult): object {
  return { standing: topics(standing), bought: topics(bought), revoked, faults }
}

function topics(kinds: TokenKind[]): string[] {
  return kinds.map((kind) => RECIPES[kind].topic)
}
