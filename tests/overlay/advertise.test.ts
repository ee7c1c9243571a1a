/** A server with a funded wallet that advertises itself on a private overlay network. */
import { PrivateKey } from '@bsv/sdk'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { advertise, advertisements, revoke } from '../../src/cli/admin/advertising'
import { parseConfig, VARIABLES, type FlatEnv } from '../../src/config'
import { until } from '../../tools/clients/live'
import { leadLocalPresetTo } from '../../tools/proxies/loopback'
import { OverlayNode } from '../../tools/chain/overlayNode'
import { startServer, type TestServer } from '../../tools/servers/server'
import { hush } from '../../tools/clients/hush'
import { WalletChain, type TestWallet } from '../../tools/chain/walletChain'

const HOST = 'https://box.one'

let chain: WalletChain
let node: OverlayNode

beforeAll(async () => {
  hush('Error: Failed to facilitate broadcast')
  chain = await WalletChain.start()
  node = await OverlayNode.start()
  leadLocalPresetTo(node.port)
})

beforeEach(() => {
  node.forget()
})

interface Advertising {
  checkedAt: string | null
  topics: string[]
  fault: string | null
}

async function advertising({ host }: TestServer): Promise<Advertising> {
  return ((await (await fetch(`${host}/info`)).json()) as { advertising: Advertising }).advertising
}

/** What a server logs once it has checked its advertisements. */
async function settled(server: TestServer): Promise<Advertising> {
  await until(async () => (await advertising(server)).checkedAt !== null)
  return await advertising(server)
}

async function funded(satoshis = 10_000): Promise<{ env: FlatEnv; wallet: TestWallet }> {
  const key = PrivateKey.fromRandom()
  const wallet = await chain.wallet({ key, satoshis })
  return {
    wallet,
    env: {
      ...chain.env,
      NODE_ENV: 'test',
      SERVER_PRIVATE_KEY: key.toHex(),
      ADVERTISE: 'true',
      ENABLE_OVERLAY: 'true',
      HOSTING_DOMAIN: HOST,
    },
  }
}

const standing = (): string[] =>
  node.entries
    .map(({ topic, fields }) =>
      [
        topic,
        ...fields
          .slice(0, -1)
          .map((field) => (field.length === 33 ? field.toString('hex') : field.toString())),
      ].join(' '),
    )
    .sort()
const wanted = (identityKey: string, host: string): string[] => [
  `tm_messagebox ${identityKey} ${host}`,
  `tm_ship SHIP ${identityKey} ${host} tm_messagebox`,
  `tm_slap SLAP ${identityKey} ${host} ls_messagebox`,
]

test('at its start, the server advertises itself, its topic and its service', async () => {
  const { env, wallet } = await funded()
  const server = await startServer({ env })
  expect(await settled(server)).toEqual({
    host: HOST,
    topics: ['tm_ship', 'tm_slap', 'tm_messagebox'],
    checkedAt: expect.any(String),
    fault: null,
  })
  expect(standing()).toEqual(wanted(wallet.identityKey, HOST))
})

test('existing advertisements are kept, and replaced if the domain changes', async () => {
  const { env, wallet } = await funded()
  const server = await startServer({ env })
  await settled(server)
  const [balance, submitted] = [await wallet.balance(), node.submitted.length]
  await server.restart()
  expect((await settled(server)).fault).toBeNull()
  expect([await wallet.balance(), node.submitted.length]).toEqual([balance, submitted])

  await server.restart({ HOSTING_DOMAIN: 'https://box.two' })
  expect((await settled(server)).fault).toBeNull()
  expect(standing()).toEqual(wanted(wallet.identityKey, 'https://box.two'))
})

test('without overlay endpoints, the server revokes all but its own anointment', async () => {
  const { env, wallet } = await funded()
  const server = await startServer({ env })
  await settled(server)
  await server.restart({ ENABLE_OVERLAY: 'false' })
  expect((await settled(server)).topics).toEqual(['tm_messagebox'])
  expect(standing()).toEqual([`tm_messagebox ${wallet.identityKey} ${HOST}`])
})

test('a rejected advertisement is published later without paying again', async () => {
  const { env, wallet } = await funded()
  node.away.add('tm_ship')
  const server = await startServer({ env })
  expect((await settled(server)).fault).toMatch(/^tm_ship: /)
  expect(standing()).toHaveLength(2)
  const balance = await wallet.balance()

  node.away.clear()
  await server.restart()
  expect((await settled(server)).fault).toBeNull()
  expect(standing()).toEqual(wanted(wallet.identityKey, HOST))
  expect(await wallet.balance()).toBe(balance)
})

test('the operator can advertise, list and revoke', async () => {
  const { env, wallet } = await funded()
  const config = parseConfig(env)
  expect(await advertisements(config)).toEqual({
    text: 'the server is not advertised',
    json: { advertisements: [] },
  })
  expect(await advertise(config)).toMatchObject({
    text: expect.stringContaining(`${HOST} is advertised now`),
    json: { bought: ['tm_ship', 'tm_slap', 'tm_messagebox'], revoked: 0, faults: [] },
  })
  expect(await advertise(config)).toMatchObject({
    text: expect.stringContaining(`${HOST} is advertised already`),
    json: { bought: [] },
  })
  expect(standing()).toEqual(wanted(wallet.identityKey, HOST))
  expect((await advertisements(config)).json).toEqual({
    advertisements: ['tm_ship', 'tm_slap', 'tm_messagebox'].map((topic) => ({
      topic,
      host: HOST,
      txid: expect.any(String),
      outputIndex: expect.any(Number),
      published: true,
    })),
  })

  node.away.add('tm_slap')
  expect(await revoke(config)).toMatchObject({
    failed: true,
    json: { revoked: 3, faults: [{ topic: 'tm_slap' }] },
  })
  expect(standing()).toHaveLength(1)
  expect(await revoke(config)).toMatchObject({ text: expect.stringContaining('nothing to revoke') })
})

test('the admin tool can advertise, list and revoke', async () => {
  const { env } = await funded()
  const admin = async (
    settings: FlatEnv,
    ...parameters: string[]
  ): Promise<{ code: number; output: string }> => {
    const unset = Object.fromEntries(VARIABLES.map((name) => [name, '']))
    return await promisify(execFile)(
      process.execPath,
      ['-r', './scripts/transpile.js', 'src/cli/admin.ts', ...parameters],
      { env: { ...process.env, ...unset, ...settings }, timeout: 30_000 },
    ).then(
      ({ stdout }) => ({ code: 0, output: stdout }),
      ({ code, stdout, stderr }) => ({ code, output: `${stdout}${stderr}` }),
    )
  }
  const [list, revocation, mistake] = await Promise.all([
    admin(env, 'advertisements', '--json'),
    admin(env, 'revoke'),
    admin({ ...env, HOSTING_DOMAIN: 'http://box.one' }, 'advertise'),
  ])
  expect([list.code, JSON.parse(list.output)]).toEqual([0, { advertisements: [] }])
  expect(revocation).toEqual({
    code: 0,
    output: expect.stringContaining('there is nothing to revoke'),
  })
  expect(mistake).toEqual({
    code: 1,
    output: expect.stringContaining('HOSTING_DOMAIN must be an https address'),
  })
})

test('if two nodes advertise at once, the next check revokes the second', async () => {
  const { env, wallet } = await funded()
  await chain.fund(wallet, 10_000)
  await Promise.all(
    [0, 1].map(async () => await advertise(parseConfig({ ...env, ENABLE_OVERLAY: 'false' }))),
  )
  expect(standing()).toHaveLength(2)
  const again = await advertise(parseConfig({ ...env, ENABLE_OVERLAY: 'false' }))
  expect(again.json).toMatchObject({ bought: [], revoked: 1, faults: [] })
  expect(standing()).toEqual([`tm_messagebox ${wallet.identityKey} ${HOST}`])
})

test('the server runs if its wallet has no money or no storage', async () => {
  const { env } = await funded(0)
  const poor = await startServer({ env })
  expect(await settled(poor)).toMatchObject({
    topics: [],
    fault: "The server's wallet does not have enough money.",
  })
  expect((await fetch(`${poor.host}/ready`)).status).toBe(200)

  const lost = await startServer({ env: { ...env, WALLET_STORAGE_URL: 'http://127.0.0.1:9' } })
  expect(await settled(lost)).toMatchObject({ topics: [], fault: "The server's wallet failed." })
})

test('a server that does not advertise itself reports it', async () => {
  expect(await advertising(await startServer())).toBeNull()
})
