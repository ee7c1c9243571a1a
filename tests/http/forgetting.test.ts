/** The server does not cache a temporary failure. */
import { expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PrivateKey } from '@bsv/sdk'
import { Assets } from '../../src/pages/assets'
import { TestChain } from '../../tools/chain/chain'
import { pay } from '../../tools/chain/payer'
import { createDatabase } from '../../tools/databases/databases'
import { ServerProcess } from '../../tools/programs/processes'
import { onEnd } from '../../tools/servers/server'
import { handshake, post } from '../../tools/clients/signedRequests'

test('after a failed read, the next load reads the file again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-assets-'))
  const file = join(folder, 'style.css')
  writeFileSync(file, 'body {}')
  const assets = new Assets(folder)
  renameSync(file, `${file}.away`)
  await expect(assets.load('style.css')).rejects.toThrow('ENOENT')

  renameSync(`${file}.away`, file)
  expect((await assets.load('style.css')).body.toString()).toBe('body {}')
})

test('a verifier that failed to start for lack of descriptors starts again', async () => {
  const chain = await TestChain.start()
  const database = await createDatabase('sqlite')
  const server = await ServerProcess.start({
    env: { ...database.env, ...chain.env, DELIVERY_FEES: 'posted=10' },
  })
  onEnd(async () => {
    await server.kill()
    await database.drop()
  })
  const key = PrivateKey.fromRandom()
  const payer = await handshake(server.origin, key)
  const { payment } = await pay(chain, key, [
    { satoshis: 10, payee: payer.serverKey, from: 'payer' },
  ])
  const send = async (): Promise<unknown> => {
    const { status, body } = await post(payer, '/sendMessage', {
      message: { recipient: payer.identityKey, messageBox: 'posted', messageId: 'id', body: 'x' },
      payment,
    })
    return body.code ?? status
  }
  const allow = (descriptors: number): void => {
    execFileSync('prlimit', ['--pid', String(server.pid), `--nofile=${descriptors}:`])
  }
  const open = readdirSync(`/proc/${server.pid!}/fd`).length

  allow(open + 1)
  expect(await send()).toBe('ERR_PAYMENTS_UNAVAILABLE')
  allow(1024)
  expect(await send()).toBe(200)
})
