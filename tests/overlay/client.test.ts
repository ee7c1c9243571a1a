/** The unmodified released client with networkPreset "local", funded wallets and this overlay. */
import { MessageBoxClient } from '@bsv/message-box-client'
import { PrivateKey } from '@bsv/sdk'
import { beforeAll, expect, test } from '@jest/globals'
import { loadClient, type Release } from '../../tools/clients/clients'
import { behindTls, leadLocalPresetTo } from '../../tools/proxies/loopback'
import { startServer, type TestServer } from '../../tools/servers/server'
import { WalletChain, type TestWallet } from '../../tools/chain/walletChain'

const HOST = 'https://box.one'

let chain: WalletChain
let overlay: TestServer

beforeAll(async () => {
  chain = await WalletChain.start()
  overlay = await startServer({ env: { ...chain.env, ENABLE_OVERLAY: 'true' } })
  leadLocalPresetTo(overlay.server.port)
})

interface Person extends TestWallet {
  client: MessageBoxClient
}

async function person(host: string): Promise<Person> {
  const wallet = await chain.wallet({ satoshis: 10_000 })
  return {
    ...wallet,
    client: new MessageBoxClient({ host, walletClient: wallet.wallet, networkPreset: 'local' }),
  }
}

const hostsOf = async ({ client, identityKey }: Person): Promise<string[]> =>
  (await client.queryAdvertisements(identityKey)).map(({ host }) => host)

test('the client anoints a host, finds it, replaces it and revokes it', async () => {
  const [alice, bob] = [await person('https://default.alice'), await person('https://default.bob')]
  expect(await hostsOf(alice)).toEqual([])
  expect(await bob.client.resolveHostForRecipient(alice.identityKey)).toBe('https://default.bob')

  const { txid } = await alice.client.anointHost(HOST)
  expect(await bob.client.queryAdvertisements(alice.identityKey)).toMatchObject([
    { host: HOST, txid, outputIndex: 0 },
  ])
  expect(await bob.client.queryAdvertisements(alice.identityKey, HOST)).toHaveLength(1)
  expect(await bob.client.queryAdvertisements(alice.identityKey, 'https://box.two')).toEqual([])
  expect(await bob.client.resolveHostForRecipient(alice.identityKey)).toBe(HOST)
  expect(await bob.client.resolveHostForRecipient(bob.identityKey)).toBe('https://default.bob')

  await alice.client.anointHost('https://box.two')
  expect(await hostsOf(alice)).toEqual(['https://box.two'])
  expect(await bob.client.resolveHostForRecipient(alice.identityKey)).toBe('https://box.two')

  await alice.client.revokeHostAdvertisement((await alice.client.queryAdvertisements())[0]!)
  expect(await hostsOf(alice)).toEqual([])
  expect(await bob.client.resolveHostForRecipient(alice.identityKey)).toBe('https://default.bob')
})

test('if two hosts are advertised, the client uses the newest', async () => {
  const alice = await person('https://default.alice')
  await alice.client.anointHost(HOST)
  // A wallet does not spend an advertisement that it has forgotten.
  const [{ outpoint } = { outpoint: '' }] = (
    await alice.wallet.listOutputs({ basket: 'overlay advertisements' })
  ).outputs
  await alice.wallet.relinquishOutput({ basket: 'overlay advertisements', output: outpoint })
  await alice.client.anointHost('https://box.two')
  expect(await hostsOf(alice)).toEqual(['https://box.two', HOST])
  expect(await alice.client.resolveHostForRecipient(alice.identityKey)).toBe('https://box.two')
})

test('a message reaches the host that its recipient has anointed', async () => {
  const servers = await Promise.all(
    [0, 1].map(async () => await startServer({ env: { NETWORK: 'local' } })),
  )
  const hosts = await Promise.all(servers.map(async ({ origin }) => await behindTls(origin)))
  const recipients = await Promise.all(hosts.map(async (host) => await person(host)))
  for (const [place, { client }] of recipients.entries()) await client.anointHost(hosts[place]!)
  const sender = await person('http://127.0.0.1:9')

  for (const [place, { identityKey, client }] of recipients.entries()) {
    await sender.client.sendMessage({
      recipient: identityKey,
      messageBox: 'inbox',
      body: `to host ${place}`,
    })
    expect(
      (await client.listMessages({ messageBox: 'inbox' })).map(({ body, sender: from }) => [
        body,
        from,
      ]),
    ).toEqual([[`to host ${place}`, sender.identityKey]])
    const stored = await Promise.all(
      servers.map(
        async ({ server }) =>
          (await server.context.knex('messages').where({ recipient: identityKey })).length,
      ),
    )
    expect(stored).toEqual(servers.map((_server, other) => (other === place ? 1 : 0)))
  }
})

test.each<Release>(['1.1.10', '1.4.5', '2.0.2'])(
  'release %s anoints its host, and other clients find it',
  async (release) => {
    const wallet = await chain.wallet({ satoshis: 10_000 })
    const host = await behindTls(overlay.origin)
    const client = new (loadClient(release))({
      host,
      walletClient: wallet.wallet,
      networkPreset: 'local',
    })
    await client.init(host)
    const { client: other } = await person('https://default.bob')
    expect(await other.resolveHostForRecipient(wallet.identityKey)).toBe(host)
  },
)

test('a lookup without results is answered before the resolver times out', async () => {
  const { client } = await person('https://default.alice')
  const times: number[] = []
  for (let i = 0; i < 101; i++) {
    const recipient = PrivateKey.fromRandom().toPublicKey().toString()
    const since = performance.now()
    expect(await client.resolveHostForRecipient(recipient)).toBe('https://default.alice')
    times.push(performance.now() - since)
  }
  times.sort((a, b) => a - b)
  expect(times[50]).toBeLessThan(30)
  expect(times.at(-1)).toBeLessThan(5000)
})
