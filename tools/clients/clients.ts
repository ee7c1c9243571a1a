/** The released clients, each with a fresh wallet. */
import type { MessageBoxClient } from '@bsv/message-box-client'
import { PrivateKey, ProtoWallet, type WalletInterface } from '@bsv/sdk'
import { hushClient } from './hush'

hushClient()

export interface TestClient {
  client: MessageBoxClient
  wallet: ProtoWallet
  identityKey: string
}

/** Each release has its own SDK, which is loaded when a test needs it. */
const LOAD = {
  '1.1.10': () => require('message-box-client-1.1'),
  '1.3.0': () => require('message-box-client-1.3'),
  '1.4.2': () => require('message-box-client-1.4.2'),
  '1.4.5': () => require('message-box-client-1.4'),
  '2.0.2': () => require('message-box-client-2.0'),
  '2.1.1': () => require('@bsv/message-box-client'),
}

export type Release = keyof typeof LOAD
export const EVERY_RELEASE = Object.keys(LOAD) as Release[]

/** The class of a release. The releases differ only in types that do not matter here. */
export function loadClient(release: Release): typeof MessageBoxClient {
  return (LOAD[release]() as typeof import('@bsv/message-box-client')).MessageBoxClient
}

export async function newClient(
  host: string,
  {
    release = '2.1.1',
    key = PrivateKey.fromRandom(),
  }: { release?: Release; key?: PrivateKey } = {},
): Promise<TestClient> {
  const wallet = new ProtoWallet(key)
  const Client = loadClient(release)
  const client = new Client({
    host,
    walletClient: wallet as unknown as WalletInterface,
    // Keeps every release off the network.
    networkPreset: 'local',
  })
  // Before 2.1 a client first buys an advertisement of its host, which needs a wallet with money.
  Reflect.set(client, 'initialized', true)
  return { client, wallet, identityKey: key.toPublicKey().toString() }
}
