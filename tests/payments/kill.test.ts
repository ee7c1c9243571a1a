import { MessageBoxClient } from '@bsv/message-box-client'
import { PrivateKey } from '@bsv/sdk'
import { expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createKnex } from '../../src/db/engine/knex'
import { MessageBoxServer } from '../../src/server'
import { TestChain } from '../../tools/chain/chain'
import {
  createDatabase,
  ENGINES,
  type Engine,
  type TestDatabase,
} from '../../tools/databases/databases'
import { pay } from '../../tools/chain/payer'
import { Child, eventually } from '../../tools/programs/processes'
import { hushClient } from '../../tools/clients/hush'
import { until } from '../../tools/clients/live'
import type { KillPoint } from '../../tools/programs/serveAndDie'
import { configOf, onEnd } from '../../tools/servers/server'
import { handshake, post, type HandSession } from '../../tools/clients/signedRequests'
import { UNMETERED } from '../../tools/servers/unmetered'
import { WalletChain } from '../../tools/chain/walletChain'

const PROGRAM = [
  '-r',
  join(__dirname, '../../scripts/transpile.js'),
  join(__dirname, '../../tools/programs/serveAndDie.ts'),
]

const KILL_POINTS: KillPoint[] = ['verified', 'claimed', 'accepted', 'stored']
/** Those around which transactions on MySQL differ from those on SQLite. */
const ON_MYSQL: KillPoint[] = ['claimed', 'stored']
const CASES = ENGINES.flatMap((engine) =>
  (engine === 'sqlite' ? KILL_POINTS : ON_MYSQL).map((killPoint): [KillPoint, Engine] => [
    killPoint,
    engine,
  ]),
)

async function serve(
  env: NodeJS.ProcessEnv,
  killPoint: KillPoint,
): Promise<{ origin: string; child: Child }> {
  const child = new Child(process.execPath, [...PROGRAM, killPoint], {
    env: { ...process.env, ...env },
  })
  const port = await eventually(
    () => /serves (\d+)/.exec(child.output)?.[1],
    () => `The server does not serve:\n${child.output}`,
  )
  return { origin: `http://127.0.0.1:${port}`, child }
}

async function statesOf(database: TestDatabase): Promise<string[]> {
  const knex = createKnex(database.config)
  const rows = await knex('payments').select('state')
  await knex.destroy()
  return rows.map(({ state }) => state as string)
}

hushClient()

test.each(CASES)(
  'a payment delivers its message once if the server is killed when it is %s, on %s',
  async (killPoint, engine) => {
    const database = await createDatabase(engine)
    onEnd(database.drop)
    const chain = await TestChain.start()
    const env = {
      NODE_ENV: 'test',
      LOG_LEVEL: 'silent',
      ...UNMETERED,
      ...database.env,
      ...chain.env,
      DELIVERY_FEES: 'posted=10',
      SERVER_PRIVATE_KEY: randomBytes(32).toString('hex'),
      PORT: '0',
    }
    const [payerKey, recipientKey] = [PrivateKey.fromRandom(), PrivateKey.fromRandom()]
    const first = await serve(env, killPoint)
    const payer = await handshake(first.origin, payerKey)
    const message = {
      recipient: recipientKey.toPublicKey().toString(),
      messageBox: 'posted',
      messageId: 'paid',
      body: 'once',
    }
    const { payment } = await pay(chain, payerKey, [
      { satoshis: 10, payee: payer.serverKey, from: 'payer' },
    ])
    const send = async (session: HandSession, messageId: string): Promise<number> =>
      (await post(session, '/sendMessage', { message: { ...message, messageId }, payment })).status

    await expect(send(payer, 'paid')).rejects.toThrow()
    expect(await first.child.ended()).toBe('SIGKILL')

    const second = await MessageBoxServer.create(configOf(env))
    onEnd(async () => {
      await second.stop()
    })
    const origin = `http://127.0.0.1:${await second.start()}`
    const again = { ...payer, origin }
    const statuses = [
      await send(again, 'paid'),
      await send(again, 'paid'),
      await send(again, 'another'),
    ]
    const { messages } = (
      await post(await handshake(origin, recipientKey), '/listMessages', { messageBox: 'posted' })
    ).body as { messages: Array<{ messageId: string }> }

    expect(statuses).toEqual([200, 200, 409])
    expect(messages.map(({ messageId }) => messageId)).toEqual(['paid'])
    // The outputs for the server wait in the database for its wallet.
    expect(await statesOf(database)).toEqual(['stored'])
  },
)

test.each<KillPoint>(['stored', 'internalized', 'settled'])(
  'the wallet gets the money once if the server is killed when the payment is %s',
  async (killPoint) => {
    const database = await createDatabase('sqlite')
    onEnd(database.drop)
    const chain = await WalletChain.start()
    const key = PrivateKey.fromRandom()
    const env = {
      NODE_ENV: 'test',
      LOG_LEVEL: 'silent',
      ...UNMETERED,
      ...database.env,
      ...chain.env,
      DELIVERY_FEES: 'posted=10',
      SERVER_PRIVATE_KEY: key.toHex(),
      PORT: '0',
    }
    const payer = await chain.wallet({ satoshis: 10_000 })
    const first = await serve(env, killPoint)
    const client = new MessageBoxClient({
      host: first.origin,
      walletClient: payer.wallet,
      networkPreset: 'local',
    })
    // The server calls the wallet after its answer, which the client may get before the kill.
    await client
      .sendMessage(
        {
          recipient: payer.identityKey,
          messageBox: 'posted',
          body: 'to myself',
          checkPermissions: true,
        },
        first.origin,
      )
      .catch(() => {})
    expect(await first.child.ended()).toBe('SIGKILL')

    const second = await MessageBoxServer.create(configOf(env))
    onEnd(async () => {
      await second.stop()
    })
    await second.start()
    const { balance } = await chain.wallet({ key })
    await until(async () => (await statesOf(database))[0] === 'settled')

    expect(await balance()).toBe(10)
  },
)
