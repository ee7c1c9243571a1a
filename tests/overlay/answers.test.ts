import { MerklePath, P2PKH, PrivateKey, Transaction } from '@bsv/sdk'
import { expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { anoint, find, identityOf, lockAdvertisement, lookup, makeTransaction, submit } from '../helpers/advertiser'
import { TestChain } from '../helpers/chain'
import { startServer } from '../helpers/server'

const LOCAL = { NETWORK: 'local', ENABLE_OVERLAY: 'true' }

test('transactions of one block whose proofs cannot be combined are found together', async () => {
  const { origin } = await startServer({ env: LOCAL })
  const alice = PrivateKey.fromRandom()
  const coins = [0, 1].map(lockTime => {
    const coin = new Transaction(1, [], [{ satoshis: 1000, lockingScript: new P2PKH().lock(alice.toPublicKey().toHash()) }], lockTime)
    coin.addInput({ sourceTXID: randomBytes(32).toString('hex'), sourceOutputIndex: 0, unlockingScript: new P2PKH().lock(alice.toPublicKey().toHash()), sequence: 0 } as never)
    return coin
  })
  const leaves = [randomBytes(32).toString('hex'), ...coins.map(coin => coin.id('hex')), randomBytes(32).toString('hex')].map((hash, offset) => ({ offset, hash }))
  const outpoints: string[] = []
  for (const funds of coins) {
    funds.merklePath = new MerklePath(1000, [leaves, []])
    const transaction = await makeTransaction(undefined as never, alice, [await lockAdvertisement(alice)], { funds })
    expect((await submit(origin, transaction.toBEEF())).status).toBe(200)
    outpoints.unshift(`${transaction.id('hex')}.0`)
  }
  expect(await find(origin, { identityKey: identityOf(alice) })).toEqual(outpoints)
})

test('answers that nobody reads take a bounded memory, which comes back', async () => {
  const { origin, server } = await startServer({ env: { ...LOCAL, RATE_LIMIT_ADDRESS: 'off' } })
  const [chain, alice] = [await TestChain.start(), PrivateKey.fromRandom()]
  const coin = chain.mint(alice, 10_000)
  const large = { op: 78, data: Array.from({ length: 60_000 }, () => 200) }
  for (let i = 0; i < 4; i++) {
    const padding = (await anoint(chain, alice)).outputs[0]!.lockingScript
    padding.chunks = [{ op: 0 }, { op: 0x6a }, large]
    const { status } = await submit(origin, (await makeTransaction(chain, alice, [await lockAdvertisement(alice, { host: `https://${i}.alice` }), padding], { funds: coin })).toBEEF())
    expect(status).toBe(200)
  }
  const question = '{"service":"ls_messagebox"}'
  const request = `POST /lookup HTTP/1.1\r\nhost: x\r\ncontent-length: ${question.length}\r\n\r\n${question}`
  const ask = async (): Promise<Socket> => {
    const socket = connect(server.port, '127.0.0.1').pause()
    await once(socket, 'connect')
    socket.write(request.repeat(8))
    return socket
  }
  const sockets = await Promise.all(Array.from({ length: 32 }, ask))
  await until(async () => (await lookup(origin, question)).body.code === 'ERR_SERVER_BUSY')
  for (const socket of sockets) socket.destroy()
  await until(async () => (await lookup(origin, question)).status === 200)
})

/** Asks now and then, which counts against the rate of lookups too. */
async function until (holds: () => Promise<boolean>): Promise<void> {
  while (!await holds()) await setTimeout(100)
}
