import { MerklePath, P2PKH, PrivateKey, Transaction } from '@bsv/sdk'
import { expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler } from 'express'
import { BodyBudget } from '../../src/auth/body'
import { createAdvertisementStore } from '../../src/db/advertisementStore'
import type { ApiError } from '../../src/errors'
import { createOverlay } from '../../src/overlay'
import { anoint, find, identityOf, lockAdvertisement, lookup, makeTransaction, submit } from '../helpers/advertiser'
import { TestChain } from '../helpers/chain'
import { onEnd, startServer } from '../helpers/server'

/** What one address may take. */
const SHARE = 64 * 1024 * 1024
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

test('answers that nobody has read share the memory for bodies, and give it back', async () => {
  const { origin, server: { context } } = await startServer({ env: LOCAL })
  const chain = await TestChain.start()
  expect((await submit(origin, (await anoint(chain, PrivateKey.fromRandom())).toBEEF())).status).toBe(200)
  const budget = new BodyBudget()
  const overlay = createOverlay(context.config, { store: createAdvertisementStore(context.knex), budget, limits: context.limits })
  const { handler } = overlay.routes.find(({ path }) => path === '/lookup')!
  const app = express().post('/lookup', handler, ((error: ApiError, _req, res, _next) => { res.status(error.status).json(error.toBody()) }) as ErrorRequestHandler)
  const node = app.listen(0, '127.0.0.1')
  onEnd(() => { node.closeAllConnections(); node.close() })
  await once(node, 'listening')
  const ask = async (): Promise<number> => (await lookup(`http://127.0.0.1:${(node.address() as AddressInfo).port}`, { service: 'ls_messagebox' })).status

  const others = budget.open('127.0.0.1')
  others.take(SHARE - 100)
  expect(await ask()).toBe(503)
  others.release()
  expect(await ask()).toBe(200)
  expect(await ask()).toBe(200)
  // A response may be closed a moment after its client has it.
  await new Promise(resolve => setImmediate(resolve))
  expect(() => { others.take(SHARE) }).not.toThrow()
})
