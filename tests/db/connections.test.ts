/** Database connections: options and servers that change values in transit, and failovers. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { statSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { sqliteDriver } from '../../src/db/engine/sqliteDriver'
import { createDatabase } from '../../tools/databases/databases'
import { until } from '../../tools/clients/live'
import { canRunMariadb, PrivateMariadb } from '../../tools/databases/mariadb'
import { Child, ServerProcess } from '../../tools/programs/processes'
import { onEnd, startServer } from '../../tools/servers/server'
import { handshake, post, type HandSession } from '../../tools/clients/signedRequests'
import { TcpProxy } from '../../tools/proxies/tcpProxy'

const UNUSUAL = 'häppy 📦 ﷽ \\ \' "'

const databases: PrivateMariadb[] = []
afterEach(async () => {
  for (const database of databases.splice(0)) await database.drop()
})

async function startMariadb(options: string[] = []): Promise<PrivateMariadb> {
  const mariadb = await PrivateMariadb.create(options)
  databases.push(mariadb)
  return mariadb
}

const send = async (
  session: HandSession,
  messageId: string,
  body: string,
): Promise<Awaited<ReturnType<typeof post>>> =>
  await post(session, '/sendMessage', {
    message: { recipient: session.identityKey, messageBox: 'inbox', messageId, body },
  })

async function expectUnusual(origin: string): Promise<void> {
  const session = await handshake(origin)
  expect(await send(session, UNUSUAL, UNUSUAL)).toMatchObject({ status: 200 })
  expect(await post(session, '/listMessages', { messageBox: 'inbox' })).toMatchObject({
    status: 200,
    body: {
      messages: [
        { messageId: UNUSUAL, body: UNUSUAL, createdAt: expect.stringMatching(/^20\d\d-.*Z$/) },
      ],
    },
  })
  expect(await post(session, '/acknowledgeMessage', { messageIds: [UNUSUAL] })).toMatchObject({
    status: 200,
  })
}

test('driver options that change how values are sent do not change results', async () => {
  const database = await createDatabase('mysql')
  onEnd(database.drop)
  const connection = {
    ...database.config.connection,
    bigNumberStrings: true,
    supportBigNumbers: true,
    typeCast: false,
    dateStrings: true,
    rowsAsArray: true,
    nestTables: true,
    decimalNumbers: true,
    jsonStrings: true,
    charset: 'latin1',
    timezone: '+05:00',
    multipleStatements: false,
  }
  const server = await ServerProcess.start({
    env: { ...database.env, KNEX_DB_CONNECTION: JSON.stringify(connection) },
  })
  await expectUnusual(server.origin)
})

describe('MariaDB', () => {
  if (!canRunMariadb()) return

  test.each([
    ['imposes latin1', ['--skip-character-set-client-handshake', '--character-set-server=latin1']],
    ['sets names when a client connects', ['--init-connect=SET NAMES utf8']],
  ])('bodies are read as they were written if the server %s', async (_name, options) => {
    const mariadb = await startMariadb(options)
    const { host, port, database } = mariadb.config.connection as {
      host: string
      port: number
      database: string
    }
    const root = await mysql.createConnection({ host, port, user: 'root' })
    // init-connect does not apply to root.
    await root.query("create user box@'127.0.0.1' identified by 'box'")
    await root.query(`grant all on ${database}.* to box@'127.0.0.1'`)
    await root.end()
    const server = await ServerProcess.start({
      env: {
        ...mariadb.env,
        KNEX_DB_CONNECTION: JSON.stringify({ host, port, database, user: 'box', password: 'box' }),
      },
    })
    await expectUnusual(server.origin)
  })

  test('over max_allowed_packet, one message is rejected and a batch is split', async () => {
    const mariadb = await startMariadb(['--max-allowed-packet=1M'])
    const server = await ServerProcess.start({ env: mariadb.env })
    const session = await handshake(server.origin)
    expect(await send(session, 'large', 'x'.repeat(3_000_000))).toMatchObject({
      status: 413,
      body: { code: 'ERR_BODY_TOO_LARGE' },
    })
    const answers = await Promise.all(
      Array.from(
        { length: 30 },
        async (_value, index) => await send(session, String(index), "'".repeat(200_000)),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(await send(session, 'in pieces', 'é'.repeat(450_000))).toMatchObject({ status: 200 })
    expect(await send(session, 'too long in UTF-8', '📦'.repeat(300_000))).toMatchObject({
      status: 413,
    })
  })

  test('the server drops open connections if the address moves to a new primary', async () => {
    const [old, next] = [await startMariadb(), await startMariadb()]
    const root = await mysql.createConnection({ ...(old.config.connection as object) })
    await root.query("create user box@'127.0.0.1' identified by 'box'")
    await root.query("grant all on messagebox.* to box@'127.0.0.1'")
    const nextRoot = await mysql.createConnection({ ...(next.config.connection as object) })
    await nextRoot.query("create user box@'127.0.0.1' identified by 'box'")
    await nextRoot.query("grant all on messagebox.* to box@'127.0.0.1'")
    const account = { user: 'box', password: 'box', database: 'messagebox', host: '127.0.0.1' }
    const envOf = (port: number): Record<string, string> => ({
      KNEX_DB_CLIENT: 'mysql2',
      KNEX_DB_CONNECTION: JSON.stringify({ ...account, port }),
    })
    // The next primary has the tables, as a replica has.
    await (
      await ServerProcess.start({ env: envOf((next.config.connection as { port: number }).port) })
    ).kill('SIGTERM')

    const target = { host: '127.0.0.1', port: (old.config.connection as { port: number }).port }
    const proxy = new TcpProxy(target)
    await proxy.open()
    onEnd(async () => {
      await proxy.set('refuse')
    })
    const server = await ServerProcess.start({ env: envOf(proxy.port) })
    const session = await handshake(server.origin)
    const ready = async (): Promise<number> => (await fetch(`${server.origin}/ready`)).status
    expect(await send(session, 'before', 'x')).toMatchObject({ status: 200 })

    await root.query('set global read_only = 1')
    await until(async () => (await ready()) === 503)
    expect(await send(session, 'meanwhile', 'x')).toMatchObject({
      status: 503,
      body: { code: 'ERR_UNAVAILABLE' },
    })
    target.port = (next.config.connection as { port: number }).port
    await until(async () => (await ready()) === 200)

    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_value, index) => await send(session, String(index), 'x')),
    )
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const [rows] = await nextRoot.query('select count(*) as count from messages')
    expect(rows).toEqual([{ count: 20 }])
    await Promise.all([root.end(), nextRoot.end()])
  })
})

describe('SQLite', () => {
  test('while another process holds the lock, the server answers other requests', async () => {
    const running = await startServer()
    const session = await handshake(running.origin)
    await send(session, 'before', 'x')
    const { filename } = running.server.context.config.db.connection as { filename: string }
    const holder = new Child(process.execPath, [
      '-r',
      join(__dirname, '../../scripts/transpile.js'),
      '-e',
      `
      const { sqliteDriver } = require(${JSON.stringify(join(__dirname, '../../src/db/engine/sqliteDriver.ts'))})
      const database = new (sqliteDriver())(${JSON.stringify(filename)})
      database.exec('begin immediate')
      console.log('held')
      process.on('SIGTERM', () => { database.exec('rollback'); process.exit(0) })
      setInterval(() => {}, 1000)`,
    ])
    await until(() => holder.output.includes('held'))
    const sent = send(session, 'meanwhile', 'x')
    // If the driver waited for the lock, it would block the event loop, and this would take longer.
    const since = performance.now()
    for (let asked = 0; asked < 200; asked++)
      expect((await fetch(`${running.origin}/health`)).status).toBe(200)
    expect(performance.now() - since).toBeLessThan(3000)
    await holder.end('SIGTERM')
    expect(await sent).toMatchObject({ status: 200 })
  })

  test('if the file is gone, the server is not ready', async () => {
    const running = await startServer()
    const { filename } = running.server.context.config.db.connection as { filename: string }
    rmSync(filename)
    expect((await fetch(`${running.origin}/ready`)).status).toBe(503)
  })

  test('if the disk is full, the server is not ready until space is free', async () => {
    const running = await startServer()
    const { knex } = running.server.context
    const ready = async (): Promise<number> => (await fetch(`${running.origin}/ready`)).status
    const [{ page_count: pages }] = await knex.raw('pragma page_count')
    await knex.raw(`pragma max_page_count = ${pages}`)
    const session = await handshake(running.origin)
    expect(await send(session, 'large', 'x'.repeat(1_000_000))).toMatchObject({ status: 503 })
    await knex.raw('pragma max_page_count = 1000000')
    expect(await send(session, 'large', 'x'.repeat(1_000_000))).toMatchObject({ status: 200 })
    await until(async () => (await ready()) === 200)
  })

  test('the write-ahead log shrinks after it has grown', async () => {
    const running = await startServer()
    const session = await handshake(running.origin)
    const { filename } = running.server.context.config.db.connection as { filename: string }
    // An open reader keeps the log from being checkpointed.
    // The server's own driver: locks belong to the process, so a second library would break them.
    const reader = new (sqliteDriver())(filename)
    reader.exec('begin; select * from messages')
    for (let sent = 0; sent < 4; sent++) await send(session, `large ${sent}`, 'x'.repeat(5_000_000))
    expect(statSync(`${filename}-wal`).size).toBeGreaterThan(16 * 1024 * 1024)
    reader.close()
    let sent = 0
    await until(async () => {
      await send(session, `small ${sent++}`, 'x')
      return statSync(`${filename}-wal`).size <= 8 * 1024 * 1024
    })
  })
})
