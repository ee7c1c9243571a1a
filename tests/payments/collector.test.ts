/** Payments to the server while the storage of its wallet does not work. */
import { PrivateKey } from '@bsv/sdk'
import { beforeAll, expect, test } from '@jest/globals'
import type { RequestListener } from 'node:http'
import { TestChain } from '../../tools/chain/chain'
import { until } from '../../tools/clients/live'
import { pay } from '../../tools/chain/payer'
import { startServer, type TestServer } from '../../tools/servers/server'
import { serve } from '../../tools/servers/services'
import { handshake, post } from '../../tools/clients/signedRequests'

let chain: TestChain

beforeAll(async () => {
  chain = await TestChain.start()
})

/** Starts a server with this wallet storage and pays it 10 satoshis. */
async function paidServer(storage: RequestListener): Promise<TestServer> {
  const server = await startServer({
    env: {
      ...chain.env,
      NETWORK: 'local',
      WALLET_STORAGE_URL: await serve(storage),
      DELIVERY_FEES: 'posted=10',
    },
  })
  const key = PrivateKey.fromRandom()
  const payer = await handshake(server.origin, key)
  const { payment } = await pay(chain, key, [
    { satoshis: 10, payee: payer.serverKey, from: 'payer' },
  ])
  const message = {
    recipient: payer.identityKey,
    messageBox: 'posted',
    messageId: 'paid',
    body: 'for',
  }
  expect((await post(payer, '/sendMessage', { message, payment })).status).toBe(200)
  return server
}

test('if the storage fails, the send succeeds and the payment waits with the error', async () => {
  const { server } = await paidServer((_request, response) => {
    response.writeHead(503).end()
  })
  const rows = async (): Promise<Array<Record<string, unknown>>> =>
    await server.context.knex('payments').select('state', 'attempts', 'last_fault')
  await until(async () => (await rows())[0]!.attempts === 1)

  expect(await rows()).toEqual([
    { state: 'stored', attempts: 1, last_fault: expect.stringMatching(/\w/) },
  ])
})

test('a storage that never answers does not delay a stop', async () => {
  let asked = false
  const { server } = await paidServer(() => {
    asked = true
  })
  await until(() => asked)
  const since = performance.now()
  await server.stop()

  expect(performance.now() - since).toBeLessThan(6000)
})
