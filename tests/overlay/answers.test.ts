import { MerklePath, P2PKH, PrivateKey, Transaction } from '@bsv/sdk'
import { expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import {
  find,
  identityOf,
  lockAdvertisement,
  makeTransaction,
  submit,
} from '../../tools/chain/advertiser'
import { startServer } from '../../tools/servers/server'

const LOCAL = { NETWORK: 'local', ENABLE_OVERLAY: 'true' }

test('a lookup finds transactions of one block whose proofs cannot be combined', async () => {
  const { origin } = await startServer({ env: LOCAL })
  const alice = PrivateKey.fromRandom()
  const coins = [0, 1].map((lockTime) => {
    const coin = new Transaction(
      1,
      [],
      [{ satoshis: 1000, lockingScript: new P2PKH().lock(alice.toPublicKey().toHash()) }],
      lockTime,
    )
    coin.addInput({
      sourceTXID: randomBytes(32).toString('hex'),
      sourceOutputIndex: 0,
      unlockingScript: new P2PKH().lock(alice.toPublicKey().toHash()),
      sequence: 0,
    } as never)
    return coin
  })
  const leaves = [
    randomBytes(32).toString('hex'),
    ...coins.map((coin) => coin.id('hex')),
    randomBytes(32).toString('hex'),
  ].map((hash, offset) => ({ offset, hash }))
  const outpoints: string[] = []
  for (const funds of coins) {
    funds.merklePath = new MerklePath(1000, [leaves, []])
    const transaction = await makeTransaction(
      undefined as never,
      alice,
      [await lockAdvertisement(alice)],
      { funds },
    )
    expect((await submit(origin, transaction.toBEEF())).status).toBe(200)
    outpoints.unshift(`${transaction.id('hex')}.0`)
  }
  expect(await find(origin, { identityKey: identityOf(alice) })).toEqual(outpoints)
})
