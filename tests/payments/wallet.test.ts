/** Released clients with funded wallets on a chain with blocks: every payee gets its money. */
import { MessageBoxClient, PeerPayClient } from '@bsv/message-box-client'
import { LookupResolver, PrivateKey } from '@bsv/sdk'
import { beforeAll, expect, test } from '@jest/globals'
import { hushClient } from '../../tools/clients/hush'
import { until } from '../../tools/clients/live'
import { startServer, type TestServer } from '../../tools/servers/server'
import { WalletChain, type TestWallet } from '../../tools/chain/walletChain'

const DELIVERY_FEE = 10

let chain: WalletChain
let server: TestServer
let serverWallet: TestWallet
let payer: Person

interface Person extends TestWallet {
  client: MessageBoxClient
}

async function person(satoshis = 0): Promise<Person> {
  const made = await chain.wallet({ satoshis })
  return {
    ...made,
    client: new MessageBoxClient({
      host: server.host,
      walletClient: made.wallet,
      networkPreset: 'local',
    }),
  }
}

beforeAll(async () => {
  hushClient()
  chain = await WalletChain.start()
  const key = PrivateKey.fromRandom()
  server = await startServer({
    env: { ...chain.env, SERVER_PRIVATE_KEY: key.toHex(), DELIVERY_FEES: `posted=${DELIVERY_FEE}` },
  })
  serverWallet = await chain.wallet({ key })
  payer = await person(1_000_000)
})

/** The changes of the balances by `run`, once the server has collected its payments. */
async function gains(people: TestWallet[], run: () => Promise<unknown>): Promise<number[]> {
  const before = await Promise.all(people.map(async ({ balance }) => await balance()))
  await run()
  await until(
    async () =>
      (await server.server.context.knex('payments').whereNot('state', 'settled')).length === 0,
  )
  return await Promise.all(
    people.map(async ({ balance }, index) => (await balance()) - before[index]!),
  )
}

test('sendMessage with checkPermissions pays the recipient and the server', async () => {
  const recipient = await person()
  await recipient.client.setMessageBoxPermission(
    { messageBox: 'posted', recipientFee: 25 },
    server.host,
  )
  let bodies: unknown[] = []

  const grown = await gains([recipient, serverWallet], async () => {
    await payer.client.sendMessage(
      {
        recipient: recipient.identityKey,
        messageBox: 'posted',
        body: 'paid for',
        checkPermissions: true,
      },
      server.host,
    )
    bodies = (await recipient.client.listMessages({ messageBox: 'posted', host: server.host })).map(
      ({ body }) => body,
    )
  })

  expect(bodies).toEqual(['paid for'])
  expect(grown).toEqual([25, DELIVERY_FEE])
})

test('sendMesagetoRecepients pays each recipient its fee, and the server once', async () => {
  const [modest, dear, free] = [await person(), await person(), await person()]
  await modest.client.setMessageBoxPermission(
    { messageBox: 'posted', recipientFee: 5 },
    server.host,
  )
  await dear.client.setMessageBoxPermission({ messageBox: 'posted', recipientFee: 70 }, server.host)
  const people = [modest, dear, free]
  let heard: unknown[] = []

  const grown = await gains([...people, serverWallet], async () => {
    await payer.client.sendMesagetoRecepients(
      {
        recipients: people.map(({ identityKey }) => identityKey),
        messageBox: 'posted',
        body: 'to all of you',
      },
      server.host,
    )
    heard = await Promise.all(
      people.map(
        async ({ client }) =>
          (await client.listMessages({ messageBox: 'posted', host: server.host }))[0]?.body,
      ),
    )
  })

  expect(heard).toEqual(['to all of you', 'to all of you', 'to all of you'])
  expect(grown).toEqual([5, 70, 0, DELIVERY_FEE])
})

test('PeerPayClient sends a payment through a box, and its recipient accepts it', async () => {
  const recipient = await person()
  const [sending, receiving] = [payer, recipient].map(({ wallet }) =>
    offline(new PeerPayClient({ messageBoxHost: server.host, walletClient: wallet })),
  )

  const grown = await gains([recipient], async () => {
    await sending!.sendPayment({ recipient: recipient.identityKey, amount: 500 }, server.host)
    for (const payment of await receiving!.listIncomingPayments(server.host))
      await receiving!.acceptPayment(payment)
  })

  expect(grown).toEqual([500])
  expect(await receiving!.listIncomingPayments(server.host)).toEqual([])
})

/** Replaces the resolver, since this client would look up hosts on public overlay nodes. */
function offline(client: PeerPayClient): PeerPayClient {
  Reflect.set(client, 'lookupResolver', new LookupResolver({ networkPreset: 'local' }))
  return client
}
