import { afterEach, describe, expect, test } from '@jest/globals'
import { canRunMariadb, PrivateMariadb } from '../../tools/databases/mariadb'
import { eventually, ServerProcess } from '../../tools/programs/processes'
import { Caller } from '../../tools/clients/caller'

/** In milliseconds. */
const SOON = 10_000

const databases: PrivateMariadb[] = []

afterEach(async () => {
  for (const database of databases.splice(0)) await database.drop()
})

function sendTo(recipient: string, messageId: string): object {
  return { message: { recipient, messageId, messageBox: 'inbox', body: 'hello' } }
}

describe('requests fail while MariaDB is away and succeed afterwards', () => {
  test.each<
    ['is killed' | 'hangs', 'SIGKILL' | 'SIGSTOP', (mariadb: PrivateMariadb) => Promise<void>]
  >([
    [
      'is killed',
      'SIGKILL',
      async (mariadb) => {
        await mariadb.start()
      },
    ],
    [
      'hangs',
      'SIGSTOP',
      async (mariadb) => {
        await mariadb.kill('SIGCONT')
      },
    ],
  ])('if MariaDB %s', async (_name, signal, bringBack) => {
    if (!canRunMariadb()) return
    const mariadb = await PrivateMariadb.create()
    databases.push(mariadb)
    const server = await ServerProcess.start({ env: mariadb.env })
    const alice = await Caller.connect(server.origin)
    const get = async (path: string): Promise<number> =>
      (await fetch(`${server.origin}${path}`)).status
    const post = async (path: string, content: object): Promise<string> => {
      const answer = await alice.post(path, content)
      return `${answer?.status} ${String(answer?.body.code ?? answer?.body.status)}`
    }
    expect(await post('/sendMessage', sendTo(alice.identityKey, 'before'))).toBe('200 success')

    await mariadb.kill(signal)
    const begin = Date.now()
    expect(
      await Promise.all([
        post('/sendMessage', sendTo(alice.identityKey, 'meanwhile')),
        post('/listMessages', { messageBox: 'inbox' }),
        post('/acknowledgeMessage', { messageIds: ['none of hers'] }),
        get('/ready'),
        get('/health'),
      ]),
    ).toEqual(['503 ERR_UNAVAILABLE', '503 ERR_UNAVAILABLE', '503 ERR_UNAVAILABLE', 503, 200])
    expect(Date.now() - begin).toBeLessThan(SOON)

    await bringBack(mariadb)
    await eventually(
      async () => (await get('/ready')) === 200 || undefined,
      () => 'The server does not recover',
      SOON,
    )
    expect(await post('/sendMessage', sendTo(alice.identityKey, 'meanwhile'))).toBe('200 success')
    const list = await alice.post('/listMessages', { messageBox: 'inbox' })
    expect(list!.body.messages).toMatchObject([{ messageId: 'before' }, { messageId: 'meanwhile' }])
    expect(server.running).toBe(true)
  })
})
