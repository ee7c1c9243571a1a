/** The released clients, each with a fresh wallet. */
import { MessageBoxClient } from '@bsv/message-box-client'
import { PrivateKey, ProtoWallet, type WalletInterface } from '@bsv/sdk'
import { MessageBoxClient as Client11 } from 'message-box-client-1.1'
import { MessageBoxClient as Client13 } from 'message-box-client-1.3'
import { MessageBoxClient as Client14 } from 'message-box-client-1.4'
import { MessageBoxClient as Client142 } from 'message-box-client-1.4.2'
import { MessageBoxClient as Client20 } from 'message-box-client-2.0'
import { hushClient } from './hush'

hushClient()

export interface TestClient {
  client: MessageBoxClient
  wallet: ProtoWallet
  identityKey: string
}

export const RELEASES = {
  '1.1.10': Client11,
  '1.3.0': Client13,
  '1.4.2': Client142,
  '1.4.5': Client14,
  '2.0.2': Client20,
  '2.1.1': MessageBoxClient,
}

export type Release = keyof typeof RELEASES
export const EVERY_RELEASE = Object.keys(RELEASES) as Release[]

export async function newClient(
  host: string,
  {
    release = '2.1.1',
    key = PrivateKey.fromRandom(),
  }: { release?: Release; key?: PrivateKey } = {},
): Promise<TestClient> {
  const wallet = new ProtoWallet(key)
  // The releases differ in types alone that do not matter here: `local` keeps every one of them off the network.
  const Client = RELEASES[release] as typeof MessageBoxClient
  const client = new Client({
    host,
    walletClient: wallet as unknown as WalletInterface,
    networkPreset: 'local',
  })
  // Before 2.1 a client first buys an advertisement of its host, which takes a funded wallet.
  Reflect.set(client, 'initialized', true)
  return { client, wallet, identityKey: key.toPublicKey().toString() }
}
