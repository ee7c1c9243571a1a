import { PrivateKey } from '@bsv/sdk'
import { expect, test } from '@jest/globals'
import { join } from 'node:path'
import { TestChain } from '../../tools/chain/chain'
import { pay } from '../../tools/chain/payer'
import { Child } from '../../tools/programs/processes'
import { startServer } from '../../tools/servers/server'
import { handshake, post } from '../../tools/clients/signedRequests'

test("npm run payments shows the payments that wait for the server's wallet", async () => {
  const chain = await TestChain.start()
  const { origin, database } = await startServer({
    env: { ...chain.env, DELIVERY_FEES: 'posted=10' },
  })
  const key = PrivateKey.fromRandom()
  const payer = await handshake(origin, key)
  const { payment, transaction } = await pay(chain, key, [
    { satoshis: 10, payee: payer.serverKey, from: 'payer' },
  ])
  const message = {
    recipient: payer.identityKey,
    messageBox: 'posted',
    messageId: 'paid',
    body: 'for me',
  }
  expect((await post(payer, '/sendMessage', { message, payment })).status).toBe(200)

  const script = new Child(
    process.execPath,
    [join(__dirname, '../../scripts/run.js'), 'src/cli/admin', 'payments'],
    { env: { ...process.env, NODE_ENV: 'test', ...database.env } },
  )

  expect(await script.ended()).toBe(0)
  expect(script.output).toContain('payments that are not settled: 1')
  expect(script.output).toContain(`${transaction.id('hex')} from ${payer.identityKey}`)
})
