import { describe, expect, test } from '@jest/globals'
import { join } from 'node:path'
import { createKnex } from '../../src/db/engine/knex'
import {
  createDatabase,
  ENGINES,
  type Engine,
  type TestDatabase,
} from '../../tools/databases/databases'
import {
  BAD_MESSAGE,
  BROKEN,
  canRunGoogle,
  NO_TOKEN,
  serviceAccount,
  TestGoogle,
  UNREGISTERED,
} from '../../tools/servers/google'
import { lightSocket, until } from '../../tools/clients/live'
import { Child, ServerProcess } from '../../tools/programs/processes'
import { onEnd } from '../../tools/servers/server'
import {
  handshake,
  post,
  sign,
  submit,
  type Answer,
  type HandSession,
} from '../../tools/clients/signedRequests'

interface Pushing {
  google: TestGoogle
  server: ServerProcess
  database: TestDatabase
}

async function startPushing(
  engine: Engine = 'sqlite',
  env: Record<string, string> = {},
): Promise<Pushing> {
  const google = await TestGoogle.start()
  const database = await createDatabase(engine)
  onEnd(database.drop)
  return {
    google,
    database,
    server: await ServerProcess.start({ env: { ...database.env, ...google.env, ...env } }),
  }
}

const send = async (
  session: HandSession,
  recipient: string | string[],
  messageId: string | string[],
  messageBox = 'notifications',
): Promise<Answer> =>
  await post(session, '/sendMessage', {
    message: { recipient, messageId, messageBox, body: 'for the recipient alone' },
  })

async function registered(session: HandSession, ...tokens: string[]): Promise<void> {
  for (const fcmToken of tokens)
    expect((await post(session, '/registerDevice', { fcmToken })).status).toBe(200)
}

const devicesOf = async (
  session: HandSession,
): Promise<Array<{ fcmToken: string; active: boolean; lastUsed: string }>> =>
  (await submit(session, await sign(session, { method: 'GET', target: '/devices' }))).body
    .devices as never

const inactive = async (session: HandSession): Promise<string[]> =>
  (await devicesOf(session))
    .filter(({ active }) => !active)
    .map(({ fcmToken }) => fcmToken)
    .sort()

;(canRunGoogle() ? describe : (): void => {})('push', () => {
  describe.each(ENGINES)('on %s', (engine) => {
    test('each active device gets one notification; dead devices get no more', async () => {
      const { google, server, database } = await startPushing(engine, { ENABLE_WEBSOCKETS: 'true' })
      const [alice, bob, carol] = [
        await handshake(server.origin),
        await handshake(server.origin),
        await handshake(server.origin),
      ]
      await registered(
        bob,
        'bob-phone',
        'bob-tablet',
        'bob-gone',
        'bob-none',
        'bob-odd',
        'forgotten',
      )
      await post(bob, '/unregisterDevice', { fcmToken: 'forgotten' })
      await registered(carol, 'carol-phone')
      google.answers
        .set('bob-gone', UNREGISTERED)
        .set('bob-none', NO_TOKEN)
        .set('bob-odd', BAD_MESSAGE)

      expect((await send(alice, bob.identityKey, 'elsewhere', 'letters')).status).toBe(200)
      expect((await send(alice, bob.identityKey, 'first')).status).toBe(200)
      expect((await send(alice, bob.identityKey, 'first')).body).toMatchObject({
        results: [{ duplicate: true }],
      })
      await until(async () => (await inactive(bob)).length === 2)
      expect(await inactive(bob)).toEqual(['...bob-gone', '...bob-none'])

      // Registering a token again makes its device active.
      google.answers.clear()
      await registered(bob, 'bob-gone')
      const knex = createKnex(database.config)
      await knex('devices').update({ last_used: 0 })
      await knex.destroy()
      await send(alice, [bob.identityKey, carol.identityKey], ['second', 'second'])
      await until(() => google.tokensOf('second').length === 5)
      const used = async (): Promise<number> =>
        (await devicesOf(bob)).filter(({ lastUsed }) => Date.parse(lastUsed) > Date.now() - 60_000)
          .length
      await until(async () => (await used()) === 4)

      const dave = await lightSocket(server.origin).authenticate()
      dave.emit('sendMessage', {
        roomId: `${carol.identityKey}-notifications`,
        message: {
          messageId: 'live',
          recipient: carol.identityKey,
          body: 'for the recipient alone',
        },
      })
      await until(() => google.tokensOf('live').length > 0)
      // At its stop, the server finishes notifications in progress, so no more arrive after this.
      await server.kill('SIGTERM')

      const ids = [...new Set(google.pushed.map(({ data }) => data.messageId!))]
      expect(Object.fromEntries(ids.map((id) => [id, google.tokensOf(id)]))).toEqual({
        first: ['bob-gone', 'bob-none', 'bob-odd', 'bob-phone', 'bob-tablet'],
        second: ['bob-gone', 'bob-odd', 'bob-phone', 'bob-tablet', 'carol-phone'],
        live: ['carol-phone'],
      })
      for (const { notification, data } of google.pushed) {
        expect(notification).toEqual({ title: 'New message' })
        expect(data).toEqual({
          messageId: expect.any(String),
          messageBox: 'notifications',
          sender: data.messageId === 'live' ? dave.identityKey : alice.identityKey,
        })
      }
      expect(google.received.join()).not.toContain('for the recipient alone')
      expect(server.output).toContain('messaging/invalid-argument')
      for (const secret of ['bob-', 'granted', 'PRIVATE KEY', 'for the recipient alone'])
        expect(server.output).not.toContain(secret)
    })
  })

  test('sends do not wait if Google is slow, fails or never answers', async () => {
    const { google, server } = await startPushing('sqlite', { PUSH_BOXES: 'notifications, alarms' })
    const alice = await handshake(server.origin)
    await registered(alice, 'phone')
    google.hold()
    const sends = await Promise.all(
      Array.from(
        { length: 30 },
        async (_, i) => await send(alice, alice.identityKey, `held-${i}`, 'alarms'),
      ),
    )
    expect(new Set(sends.map(({ status }) => status))).toEqual(new Set([200]))
    await until(() => google.open === 20)
    google.release()
    await until(() => google.pushed.length === 30)
    expect(google.mostOpen).toBe(20)

    google.answers.set('phone', BROKEN)
    expect((await send(alice, alice.identityKey, 'failing')).status).toBe(200)
    await until(() => server.output.includes('messaging/internal-error'))
    // Four attempts, with a delay that doubles.
    const attempts = google.received.filter((text) => text.includes('"failing"'))
    expect(attempts).toHaveLength(4)

    expect((await send(alice, alice.identityKey, 'retried')).status).toBe(200)
    await until(() => google.received.some((text) => text.includes('"retried"')))
    google.answers.clear()
    await until(() => google.tokensOf('retried').length === 2)
    expect(await inactive(alice)).toEqual([])
    google.answers.clear()
    await send(alice, alice.identityKey, 'working')
    await until(() => google.tokensOf('working').length === 1)

    // A late answer about a token does not apply to a token registered after the request.
    google.answers.set('phone', UNREGISTERED)
    google.hold()
    await send(alice, alice.identityKey, 'crossing')
    await until(() => google.open === 1)
    await registered(alice, 'phone')
    google.release()
    google.answers.clear()
    google.hold()
    await send(alice, alice.identityKey, 'late')
    await until(() => google.open === 1)
    const since = Date.now()
    server.signal('SIGTERM')
    expect(await server.ended()).toBe(0)
    expect(Date.now() - since).toBeLessThan(5000)
    expect(server.output).toMatch(/"messages":1,.*not told any more/)
  })
})

test('the server loads firebase-admin only if push is on', async () => {
  const on = {
    ENABLE_FIREBASE: 'true',
    FIREBASE_SERVICE_ACCOUNT_JSON: JSON.stringify(serviceAccount),
  }
  const children = [{}, on].map(
    (env) =>
      new Child(process.execPath, [
        '-r',
        join(__dirname, '../../scripts/transpile.js'),
        '-e',
        `
    const { parseConfig } = require(${JSON.stringify(join(__dirname, '../../src/config/index.ts'))})
    const { MessageBoxServer } = require(${JSON.stringify(join(__dirname, '../../src/server.ts'))})
    const env = { NODE_ENV: 'test', KNEX_DB_CLIENT: 'better-sqlite3', KNEX_DB_CONNECTION: '{"filename":":memory:"}', LOG_LEVEL: 'silent', ...${JSON.stringify(env)} }
    MessageBoxServer.create(parseConfig(env)).then(async server => {
      console.log('loaded', Object.keys(require.cache).filter(path => path.includes('firebase-admin')).length, server.context.info.features.push)
      await server.stop()
    })`,
      ]),
  )
  expect(await Promise.all(children.map(async (child) => await child.ended()))).toEqual([0, 0])
  expect(children.map(({ output }) => output)).toEqual([
    expect.stringMatching(/loaded 0 false/),
    expect.stringMatching(/loaded [1-9]\d* true/),
  ])
})
