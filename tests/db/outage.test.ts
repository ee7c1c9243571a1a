import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { setTimeout as pause } from 'node:timers/promises'
import { createDatabase, ENGINES, type TestDatabase } from '../../tools/databases/databases'
import { expectError, expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, type Answer, type HandSession } from '../../tools/clients/signedRequests'
import { TcpProxy } from '../../tools/proxies/tcpProxy'

/** In milliseconds. */
const A_FEW_SECONDS = 6500

/** An answer, and how many milliseconds it took. */
const timed = async <T>(work: Promise<T>): Promise<[T, number]> => {
  const start = Date.now()
  return [await work, Date.now() - start]
}

class Caller {
  #sent = 0

  constructor(
    readonly server: TestServer,
    readonly session: HandSession,
  ) {}

  static async of(server: TestServer): Promise<Caller> {
    return new Caller(server, await handshake(server.origin))
  }

  async send(messageId = `id ${this.#sent++}`): Promise<Answer> {
    return await post(this.session, '/sendMessage', {
      message: {
        recipient: this.session.identityKey,
        messageBox: 'inbox',
        messageId,
        body: 'hello',
      },
    })
  }

  async list(): Promise<Answer> {
    return await post(this.session, '/listMessages', { messageBox: 'inbox' })
  }

  async acknowledge(messageId: string): Promise<Answer> {
    return await post(this.session, '/acknowledgeMessage', { messageIds: [messageId] })
  }

  async get(
    path: '/health' | '/ready',
  ): Promise<{ status: number; headers: Headers; body: unknown }> {
    const response = await fetch(`${this.server.host}${path}`)
    return { status: response.status, headers: response.headers, body: await response.json() }
  }

  /** Every operation fails within a few seconds, while /health reports that the process is well. */
  async expectUnavailable(): Promise<void> {
    const operations = Promise.all([this.send(), this.list(), this.acknowledge('id 0')].map(timed))
    const asked = timed(this.get('/ready'))
    await this.expectHealthy()
    const [ready, time] = await asked
    expectError(ready, [503, 'ERR_UNAVAILABLE'])
    expect(time).toBeLessThan(A_FEW_SECONDS)
    for (const [answer, time] of await operations) {
      expectRefusal(answer, 503, 'ERR_UNAVAILABLE')
      expect(time).toBeLessThan(A_FEW_SECONDS)
    }
  }

  async expectHealthy(): Promise<void> {
    const [health, time] = await timed(this.get('/health'))
    expect([health.status, health.body]).toEqual([200, { status: 'ok' }])
    expect(time).toBeLessThan(2000)
  }

  /** The server recovers by itself and still has every message that it has confirmed. */
  async expectRecovery(confirmed: string): Promise<void> {
    const end = Date.now() + 2 * A_FEW_SECONDS
    while ((await this.get('/ready')).status !== 200 || (await this.send()).status !== 200) {
      if (Date.now() > end) throw new Error('The server does not recover')
      await pause(20)
    }
    const lists = await this.fillPool()
    for (const { status, body } of lists) {
      expect(status).toBe(200)
      expect(
        (body.messages as Array<{ messageId: string }>).map((message) => message.messageId),
      ).toContain(confirmed)
    }
  }

  /** Sends enough requests at once to open every connection of the pool. */
  async fillPool(): Promise<Answer[]> {
    return await Promise.all(Array.from({ length: 12 }, async () => await this.list()))
  }
}

test.each(ENGINES)(
  'requests fail with ERR_UNAVAILABLE while the messages table is missing, on %s',
  async (engine) => {
    const server = await startServer({ engine })
    const { knex } = server.server.context
    const alice = await Caller.of(server)
    await alice.send('confirmed')

    await knex.schema.renameTable('messages', 'elsewhere')
    for (const answer of [
      await alice.send(),
      await alice.list(),
      await alice.acknowledge('confirmed'),
    ])
      expectRefusal(answer, 503, 'ERR_UNAVAILABLE')
    await alice.expectHealthy()

    await knex.schema.renameTable('elsewhere', 'messages')
    await alice.expectRecovery('confirmed')
  },
)

const whereMysqlIs = ENGINES.includes('mysql') ? describe : (): void => {}

whereMysqlIs('while MySQL is away', () => {
  let database: TestDatabase
  let proxy: TcpProxy
  let alice: Caller

  beforeAll(async () => {
    database = await createDatabase('mysql')
    const { host, port } = database.config.connection as { host: string; port: number }
    proxy = new TcpProxy({ host, port })
    await proxy.open()
    const connection = { ...database.config.connection, host: '127.0.0.1', port: proxy.port }
    alice = await Caller.of(
      await startServer({
        engine: 'mysql',
        env: { KNEX_DB_CONNECTION: JSON.stringify(connection) },
      }),
    )
    await alice.send('confirmed')
  })

  afterAll(async () => {
    await proxy.set('refuse')
    await database.drop()
  })

  test('the server recovers after MySQL has refused connections', async () => {
    await alice.fillPool()
    await proxy.set('refuse')
    await alice.expectUnavailable()
    await alice.expectUnavailable()

    await proxy.set('up')
    await alice.expectRecovery('confirmed')
  })

  test('the server recovers after MySQL has reset open connections', async () => {
    for (let round = 0; round < 2; round++) {
      await alice.fillPool()
      const lists = alice.fillPool()
      proxy.cut()
      for (const answer of await lists)
        if (answer.status !== 200) expectRefusal(answer, 503, 'ERR_UNAVAILABLE')
      await alice.expectRecovery('confirmed')
    }
  })

  test('while MySQL stalls, every send fails within a few seconds', async () => {
    await alice.fillPool()
    await proxy.set('stall')

    const sends = Array.from({ length: 7 }, async (_value, i) => {
      await pause(i * 500)
      await alice.expectHealthy()
      return await timed(alice.send(`stalled ${i}`))
    })
    for (const [answer, time] of await Promise.all(sends)) {
      expectRefusal(answer, 503, 'ERR_UNAVAILABLE')
      expect(time).toBeLessThan(A_FEW_SECONDS)
    }

    await proxy.set('up')
    await alice.expectRecovery('confirmed')
    // Their outcome was unknown. Sent again, each message is stored once.
    for (let i = 0; i < 7; i++)
      expect(await alice.send(`stalled ${i}`)).toMatchObject({ status: 200, verified: true })
    const { messages } = (await alice.list()).body as { messages: Array<{ messageId: string }> }
    const stalled = messages
      .map(({ messageId }) => messageId)
      .filter((messageId) => messageId.startsWith('stalled'))
    expect(stalled.sort()).toEqual(Array.from({ length: 7 }, (_value, i) => `stalled ${i}`))
  })

  test('the server recovers after MySQL has accepted connections without answering', async () => {
    await proxy.set('stall')
    proxy.cut()
    const lists = alice.fillPool()
    await alice.expectUnavailable()
    for (const answer of await lists) expectRefusal(answer, 503, 'ERR_UNAVAILABLE')

    proxy.lose()
    await proxy.set('up')
    await alice.expectRecovery('confirmed')
  })
})
