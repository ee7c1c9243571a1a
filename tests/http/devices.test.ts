import { beforeAll, describe, expect, test } from '@jest/globals'
import { newClient } from '../../tools/clients/clients'
import { ENGINES } from '../../tools/databases/databases'
import { until } from '../../tools/clients/live'
import { expectRefusal } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, sign, submit, type HandSession } from '../../tools/clients/signedRequests'

const list = async (session: HandSession, query = ''): Promise<Array<Record<string, unknown>>> =>
  (await submit(session, await sign(session, { method: 'GET', target: `/devices${query}` }))).body
    .devices as never

describe.each(ENGINES)('devices on %s', (engine) => {
  let server: TestServer

  beforeAll(async () => {
    server = await startServer({ engine })
  })

  test.each<[string, unknown, string]>([
    ['no token', {}, 'ERR_INVALID_FCM_TOKEN'],
    ['a blank token', { fcmToken: ' ' }, 'ERR_INVALID_FCM_TOKEN'],
    ['a number', { fcmToken: 5 }, 'ERR_INVALID_FCM_TOKEN'],
    ['a token that is too long', { fcmToken: 'x'.repeat(4097) }, 'ERR_INVALID_FCM_TOKEN'],
    ['an array', [], 'ERR_INVALID_FCM_TOKEN'],
    ['another platform', { fcmToken: 'x', platform: 'windows' }, 'ERR_INVALID_PLATFORM'],
    ['an id that is not a text', { fcmToken: 'x', deviceId: 5 }, 'ERR_INVALID_DEVICE_ID'],
    [
      'an id that is too long',
      { fcmToken: 'x', deviceId: 'x'.repeat(256) },
      'ERR_INVALID_DEVICE_ID',
    ],
  ])('%s is rejected', async (_name, body, code) => {
    const session = await handshake(server.origin)
    expectRefusal(await post(session, '/registerDevice', body), 400, code)
    expect(await list(session)).toEqual([])
  })

  test('the released client registers a device and lists it with its token shortened', async () => {
    const { client } = await newClient(server.host)
    const fcmToken = 'a-long-token-0123456789'
    const registered = await client.registerDevice(
      { fcmToken, deviceId: 'my phone', platform: 'ios' },
      server.host,
    )
    expect(registered).toMatchObject({
      status: 'success',
      message: expect.any(String),
      deviceId: expect.any(Number),
    })
    const time = expect.stringMatching(/^\d{4}-.*Z$/)
    expect(await client.listRegisteredDevices(server.host)).toEqual([
      {
        id: registered.deviceId,
        deviceId: 'my phone',
        platform: 'ios',
        fcmToken: '...0123456789',
        active: true,
        createdAt: time,
        updatedAt: time,
        lastUsed: time,
      },
    ])
  })

  test('a token is one device per identity, however often it is registered', async () => {
    const [alice, bob] = [await handshake(server.origin), await handshake(server.origin)]
    const first = await post(alice, '/registerDevice', { fcmToken: 'shared', platform: 'web' })
    const again = await post(alice, '/registerDevice', { fcmToken: 'shared', platform: 'android' })
    const other = await post(bob, '/registerDevice', { fcmToken: 'shared' })
    expect(again.body.deviceId).toBe(first.body.deviceId)
    expect(other.body.deviceId).not.toBe(first.body.deviceId)
    expect(await list(alice)).toMatchObject([{ platform: 'android', deviceId: null }])

    expect((await post(bob, '/unregisterDevice', { fcmToken: 'shared' })).status).toBe(200)
    expect([await list(alice), await list(bob)]).toMatchObject([[{ platform: 'android' }], []])
    expectRefusal(await post(bob, '/unregisterDevice', {}), 400, 'ERR_INVALID_FCM_TOKEN')
  })

  test('concurrent registrations and removals of one device all succeed', async () => {
    const session = await handshake(server.origin)
    const answers = await Promise.all(
      Array.from(
        { length: 40 },
        async (_, i) =>
          await post(session, i % 2 === 0 ? '/registerDevice' : '/unregisterDevice', {
            fcmToken: 'flips',
          }),
      ),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  })

  test('an identity keeps at most its 100 newest devices', async () => {
    const session = await handshake(server.origin)
    for (let i = 0; i <= 100; i++)
      await post(session, '/registerDevice', {
        fcmToken: `token-${i}-0123456789`,
        deviceId: String(i),
      })
    const devices = await list(session)
    expect(devices.map(({ deviceId }) => deviceId)).toEqual(
      Array.from({ length: 100 }, (_, i) => String(100 - i)),
    )
  })

  test('devices are listed in pages, the last updated first', async () => {
    const session = await handshake(server.origin)
    for (const name of ['a', 'b', 'c', 'a']) {
      await post(session, '/registerDevice', { fcmToken: `token-${name}`, deviceId: name })
      // The database stores times in milliseconds.
      const since = Date.now()
      await until(() => Date.now() > since)
    }
    const names = async (query: string): Promise<unknown[]> =>
      (await list(session, query)).map(({ deviceId }) => deviceId)
    expect(await names('')).toEqual(['a', 'c', 'b'])
    expect(await names('?limit=1&offset=1')).toEqual(['c'])
    expect(await names('?offset=2')).toEqual(['b'])
    expect(await names('?limit=1000&offset=3')).toEqual([])
    for (const limit of ['0', '-1', '1001', 'x', '', '1.5'])
      expectRefusal(
        await submit(
          session,
          await sign(session, { method: 'GET', target: `/devices?limit=${limit}` }),
        ),
        400,
        'ERR_INVALID_LIMIT',
      )
    for (const offset of ['-1', 'x', '1e3'])
      expectRefusal(
        await submit(
          session,
          await sign(session, { method: 'GET', target: `/devices?offset=${offset}` }),
        ),
        400,
        'ERR_INVALID_OFFSET',
      )
  })

  test('the id of a device is trimmed; an empty id counts as no id', async () => {
    const session = await handshake(server.origin)
    await post(session, '/registerDevice', { fcmToken: 'one', deviceId: ' my phone ' })
    await post(session, '/registerDevice', { fcmToken: 'two', deviceId: '' })
    await post(session, '/registerDevice', { fcmToken: 'three', deviceId: ' \t' })
    expect((await list(session)).map(({ deviceId }) => deviceId).sort()).toEqual([
      'my phone',
      null,
      null,
    ])
  })

  test('a new token replaces the old one for the same device, platform and identity', async () => {
    const [alice, bob] = [await handshake(server.origin), await handshake(server.origin)]
    const add = async (
      session: HandSession,
      fcmToken: string,
      platform: string | null,
      deviceId: string | null = 'phone',
    ): Promise<void> => {
      expect(
        (await post(session, '/registerDevice', { fcmToken, platform, deviceId })).status,
      ).toBe(200)
    }
    await add(bob, 'of bob', 'ios')
    await add(alice, 'old', 'ios')
    await add(alice, 'on the web', 'web')
    await add(alice, 'without a platform', null)
    await add(alice, 'without a name', 'ios', null)
    await add(alice, 'another without a name', 'ios', null)
    await add(alice, 'new', 'ios')
    await add(alice, 'still without', null)
    const tokens = async (session: HandSession): Promise<unknown[]> =>
      (await list(session)).map(({ fcmToken }) => fcmToken).sort()
    expect(await tokens(alice)).toEqual(
      ['new', 'on the web', 'still without', 'without a name', 'another without a name']
        .map((token) => `...${token.slice(-10)}`)
        .sort(),
    )
    expect(await tokens(bob)).toEqual(['...of bob'])
  })
})
