/** Two workers under a supervisor, as processes with one MariaDB. */
import { PrivateKey } from '@bsv/sdk'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FlatEnv } from '../../src/config'
import { Caller } from '../../tools/clients/caller'
import { lightSocket, liveClient, until } from '../../tools/clients/live'
import type { LightSocket } from '../../tools/clients/lightSocket'
import {
  handshake,
  post,
  sign,
  type HandSession,
  type PreparedRequest,
} from '../../tools/clients/signedRequests'
import { createDatabase, ENGINES, type TestDatabase } from '../../tools/databases/databases'
import { freePort } from '../../tools/programs/freePort'
import { Child, ServerProcess } from '../../tools/programs/processes'

const here = ENGINES.includes('mysql') ? describe : (): void => {}

here('two workers', () => {
  let database: TestDatabase
  let server: ServerProcess
  let metricsPort: number
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-test-workers-'))

  beforeAll(async () => {
    // The servers make their folders there.
    process.env.TMPDIR = folder
    database = await createDatabase('mysql')
    metricsPort = await freePort()
    server = await ServerProcess.start({ env: settings({ METRICS_PORT: String(metricsPort) }) })
  })

  afterAll(async () => {
    await server.kill()
    await database.drop()
    rmSync(folder, { recursive: true, force: true })
  })

  const settings = (env: FlatEnv = {}): FlatEnv => ({
    ...database.env,
    WORKERS: '2',
    ENABLE_WEBSOCKETS: 'true',
    MIGRATE_KEY: 'a key for migrations',
    ...env,
  })
  const send = async (
    session: HandSession,
    recipient: string,
    messageId: string,
  ): ReturnType<typeof post> =>
    await post(session, '/sendMessage', {
      message: { recipient, messageBox: 'inbox', messageId, body: 'hello' },
    })
  /** Asks over a connection of its own, which the next worker gets. */
  const ask = async ({ url, init }: PreparedRequest): Promise<number> =>
    await new Promise((resolve, reject) => {
      const req = request(url, { ...init, agent: false }, (res) => {
        res.resume().once('end', () => {
          resolve(res.statusCode!)
        })
      })
      req.on('error', reject).end(init.body)
    })
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    return text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
  }
  const listening = async (worker: number): Promise<LightSocket> => {
    for (;;) {
      const socket = await lightSocket(server.origin, {
        options: { transports: ['polling', 'websocket'] },
      }).authenticate()
      if (workerOf(socket) !== worker) {
        socket.close()
        continue
      }
      const roomId = `${socket.identityKey}-inbox`
      socket.emit('joinRoom', roomId)
      await socket.next('joinedRoom')
      return socket
    }
  }

  test('connections reach both, and a line of the log names its worker', async () => {
    const url = `${server.origin}/info`
    for (let i = 0; i < 4; i++) expect(await ask({ url, init: get })).toBe(200)

    const lines = [...server.output.matchAll(/"worker":(\d).*"path":"\/info"/g)]
    expect(new Set(lines.map(([, worker]) => worker))).toEqual(new Set(['1', '2']))
  })

  test('sockets begin by polling and become WebSockets, at either worker', async () => {
    const sockets = Array.from({ length: 8 }, () =>
      lightSocket(server.origin, { options: { transports: ['polling', 'websocket'] } }),
    )
    await Promise.all(sockets.map(async (socket) => await socket.authenticate()))

    await until(() => sockets.every(({ raw }) => raw.io.engine.transport.name === 'websocket'))
    for (const socket of sockets) {
      socket.emit('joinRoom', `${socket.identityKey}-inbox`)
      await socket.next('joinedRoom')
    }
    expect(new Set(sockets.map(workerOf))).toEqual(new Set([1, 2]))
    expect(await metric('messagebox_sockets')).toBeGreaterThanOrEqual(8)
  })

  test('sockets that only poll work at either worker, with large events', async () => {
    const sockets = Array.from({ length: 4 }, () =>
      lightSocket(server.origin, { options: { transports: ['polling'] } }),
    )
    await Promise.all(sockets.map(async (socket) => await socket.authenticate()))
    expect(new Set(sockets.map(workerOf))).toEqual(new Set([1, 2]))
    const body = 'häppy 📦'.repeat(10_000)
    for (const socket of sockets) {
      const { identityKey } = socket
      const roomId = `${identityKey}-inbox`
      socket.emit('joinRoom', roomId)
      await socket.next('joinedRoom')
      const messageId = randomUUID()
      socket.emit('sendMessage', { roomId, message: { messageId, recipient: identityKey, body } })
      expect(await socket.next(`sendMessage-${roomId}`)).toMatchObject({ messageId, body })
    }
  })

  test('a listener at one worker hears sends to both', async () => {
    const listeners = [await listening(1), await listening(2)]
    const alice = await handshake(server.origin)

    for (const listener of listeners) {
      const wanted = new Set<string>()
      for (let i = 0; i < 6; i++) {
        const messageId = randomUUID()
        wanted.add(messageId)
        const { url, init } = await sign(alice, {
          target: '/sendMessage',
          headers: json,
          body: JSON.stringify({
            message: {
              recipient: listener.identityKey,
              messageBox: 'inbox',
              messageId,
              body: 'hello',
            },
          }),
        })
        expect(await ask({ url, init })).toBe(200)
      }
      for (let i = 0; i < 6; i++)
        wanted.delete(
          (
            (await listener.next(`sendMessage-${listener.identityKey}-inbox`)) as {
              messageId: string
            }
          ).messageId,
        )
      expect(wanted.size).toBe(0)
    }
    const lines = [...server.output.matchAll(/"worker":(\d).*"path":"\/sendMessage"/g)]
    expect(new Set(lines.map(([, worker]) => worker))).toEqual(new Set(['1', '2']))
  })

  test('released clients hear each other', async () => {
    const clients = await Promise.all(
      Array.from({ length: 4 }, async () => await liveClient(server.origin)),
    )
    const [alice, ...others] = clients as [(typeof clients)[0], ...typeof clients]
    const heard: string[] = []
    await Promise.all(
      others.map(async ({ client, identityKey }) => {
        await client.listenForLiveMessages({
          messageBox: 'chat',
          onMessage: ({ body }) => {
            if (body === 'Are you there?') heard.push(identityKey)
          },
        })
      }),
    )

    for (const { identityKey } of others)
      await alice.client.sendLiveMessage(
        { recipient: identityKey, messageBox: 'chat', body: 'Are you there?' },
        server.origin,
      )

    await until(() => heard.length === others.length)
    expect(new Set(heard).size).toBe(others.length)
  })

  test('one connection polls for sessions of both workers', async () => {
    const ids = new Map<string, string>()
    while (ids.size < 2) {
      const { body } = await poll(server.origin)
      const { sid } = JSON.parse(body.slice(1)) as { sid: string }
      ids.set(sid.charAt(0), sid)
    }
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const [first, second] = ids.values()
    const answers: Array<Awaited<ReturnType<typeof poll>>> = []
    for (const sid of [first, second, first, second]) {
      const content: string | undefined = answers.length < 2 ? '40' : undefined
      answers.push(await poll(server.origin, { agent, sid, content }))
    }
    for (const sid of ids.values())
      answers.push(await poll(server.origin, { agent, sid: `${sid}x` }))
    agent.destroy()

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 400, 400])
    expect(answers.slice(2, 4).map(({ body }) => body.slice(0, 9))).toEqual([
      '40{"sid":',
      '40{"sid":',
    ])
    expect(answers.slice(1).every(({ isReused }) => isReused)).toBe(true)
  })

  test('a request that one worker has seen is rejected by all', async () => {
    const alice = await handshake(server.origin)
    const captured = await sign(alice, {
      target: '/listMessages',
      headers: json,
      body: '{"messageBox":"inbox"}',
    })

    const answers = []
    for (let i = 0; i < 6; i++) answers.push(await ask(captured))

    expect(answers).toEqual([200, 401, 401, 401, 401, 401])
    const lines = [
      ...server.output.matchAll(/"worker":(\d).*"path":"\/listMessages","status":401/g),
    ]
    expect(new Set(lines.map(([, worker]) => worker))).toEqual(new Set(['1', '2']))
  })

  test('workers count rates together, exactly', async () => {
    const attempt = { url: `${server.origin}/migrate`, init: { ...attemptToMigrate } }

    const answers = await Promise.all(Array.from({ length: 30 }, async () => await ask(attempt)))

    expect(answers.filter((status) => status === 401)).toHaveLength(10)
    expect(answers.filter((status) => status === 429)).toHaveLength(20)
  })

  test('metrics are those of all workers', async () => {
    const name = 'messagebox_http_requests_total{route="/health",status="200"}'
    const before = await metric(name)
    for (let i = 0; i < 10; i++) await ask({ url: `${server.origin}/health`, init: get })

    expect((await metric(name)) - before).toBe(10)
    expect(await metric('messagebox_workers')).toBe(2)
    expect(await metric('messagebox_info')).toBe(1)
    expect(await metric('messagebox_redis_up')).toBe(1)
  })

  test.each([2, 1])(
    'worker %i is killed under live load: nothing acknowledged is lost, its clients hear on',
    async (victim) => {
      const listeners = [await listening(1), await listening(2)]
      const released = await liveClient(server.origin)
      const heardByReleased = new Set<string>()
      await released.client.listenForLiveMessages({
        messageBox: 'inbox',
        onMessage: ({ messageId }) => {
          heardByReleased.add(messageId)
        },
      })
      const recipients = [...listeners, released].map(({ identityKey }) => identityKey)
      const stored = new Map<string, string>()
      let going = true
      const senders = await Promise.all(
        Array.from({ length: 4 }, async () => await Caller.connect(server.origin)),
      )
      const load = senders.map(async (sender) => {
        while (going) {
          const [messageId, recipient] = [randomUUID(), recipients[stored.size % 3]!]
          const message = { recipient, messageBox: 'inbox', messageId, body: 'hello' }
          const answer = await sender.post('/sendMessage', { message })
          if (answer?.status === 200) stored.set(messageId, recipient)
        }
      })
      await until(() => stored.size > 100)
      const counted = await metric('messagebox_messages_stored_total')
      const pid = pidOf(server, victim)

      process.kill(pid, 'SIGKILL')

      const killed = stored.size
      await until(
        async () => stored.size > killed + 100 && (await metric('messagebox_workers')) === 2,
      )
      expect(await metric('messagebox_messages_stored_total')).toBeGreaterThan(counted)
      // Every listener hears something that was sent after the replacement has started.
      const replaced = new Set(stored.keys())
      await until(
        () =>
          listeners.every(({ heard }) =>
            heard.some(({ data }) => isNewIn(stored, replaced, data)),
          ) && [...heardByReleased].some((messageId) => !replaced.has(messageId)),
      )
      going = false
      await Promise.all(load)

      for (const listener of listeners) {
        const key = PrivateKey.fromHex(listener.privateKey)
        const listed = await listIds(await handshake(server.origin, key))
        const missing = [...stored].filter(
          ([id, recipient]) => recipient === listener.identityKey && !listed.has(id),
        )
        expect(missing).toEqual([])
      }
      expect(pidOf(server, victim)).not.toBe(pid)
      expect(server.output).toMatch(
        new RegExp(`"worker":${victim},"pid":${pid},"code":null,"signal":"SIGKILL"`),
      )
    },
  )

  test('a worker continues alone while the supervisor does not answer', async () => {
    const alice = await Caller.connect(server.origin)
    const path = '/listMessages'
    const content = { messageBox: 'inbox' }
    // The connection exists, since only the supervisor accepts new ones.
    expect((await alice.post(path, content))?.status).toBe(200)

    server.signal('SIGSTOP')
    try {
      expect((await alice.post(path, content))?.status).toBe(200)
    } finally {
      server.signal('SIGCONT')
    }

    await until(async () => {
      await alice.post(path, content)
      return server.output.includes('the supervisor answers again')
    })
  })

  test('SIGTERM stops all, after the requests under way; nothing is left', async () => {
    const workers = [1, 2].map((number) => pidOf(server, number))
    expect(readdirSync(folder)).toHaveLength(1)
    const alice = await handshake(server.origin)
    const sending = Array.from({ length: 20 }, async () =>
      send(alice, alice.identityKey, randomUUID()),
    )
    await Promise.race(sending)

    // A terminal and systemd also send signals to the workers.
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const)
      for (const pid of workers) process.kill(pid, signal)
    server.signal('SIGTERM')

    expect(await server.ended()).toBe(0)
    for (const { status } of await Promise.all(sending)) expect(status).toBe(200)
    expect(workers.filter(isRunning)).toEqual([])
    expect(readdirSync(folder)).toEqual([])
    expect(server.output).toContain('"msg":"stopped"')
    expect(server.output.match(/"msg":"a worker ended/g)).toHaveLength(2)
  })

  test('if the supervisor is killed, its workers end, and the port is free', async () => {
    await server.start()
    const workers = [1, 2].map((number) => pidOf(server, number))

    await server.kill('SIGKILL')

    await until(() => !workers.some(isRunning))
    expect(readdirSync(folder)).toEqual([])
    const { port } = new URL(server.origin)
    const probe = createServer()
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject).listen(Number(port), resolve)
    })
    probe.close()
  })
})

describe('a server with workers does not start', () => {
  const start = async (env: FlatEnv): Promise<string> => {
    const child = new Child(process.execPath, ['-r', './scripts/transpile.js', 'src/main.ts'], {
      env: { PATH: process.env.PATH, NODE_ENV: 'test', PORT: '0', WORKERS: '2', ...env },
    })
    expect(await child.ended()).toBe(1)
    expect(child.output).not.toMatch(/\n {4}at /)
    return child.output
  }

  test('on SQLite', async () => {
    const output = await start({ KNEX_DB_CLIENT: 'better-sqlite3' })
    expect(output).toContain(
      'WORKERS must be 1 with SQLite, which supports one process: ' +
        'set WORKERS=1, or use MySQL or MariaDB (KNEX_DB_CLIENT=mysql2)',
    )
  })

  test('if the database does not answer, and says so once', async () => {
    const connection = { host: '127.0.0.1', port: 1, user: 'root', database: 'none' }
    const output = await start({ KNEX_DB_CONNECTION: JSON.stringify(connection) })
    expect(output.match(/The database does not answer/g)).toHaveLength(1)
  })

  test('if its port is taken', async () => {
    const database = ENGINES.includes('mysql') ? await createDatabase('mysql') : undefined
    if (database === undefined) return
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, resolve))
    const { port } = holder.address() as { port: number }

    const output = await start({ ...database.env, PORT: String(port) })

    holder.close()
    await database.drop()
    expect(output.match(/The port is taken/g)).toHaveLength(1)
  })
})

const json = { 'content-type': 'application/json' }
const get = { method: 'GET', headers: {} }
const attemptToMigrate = {
  method: 'POST',
  headers: json,
  body: JSON.stringify({ migratekey: randomBytes(8).toString('hex') }),
}

function workerOf({ raw }: LightSocket): number {
  return Number((raw.io.engine as unknown as { id: string }).id.split('-')[0])
}

/** The newest process of this number. */
function pidOf({ output }: ServerProcess, worker: number): number {
  const lines = output.matchAll(/"worker":(\d),"pid":(\d+),"msg":"a worker listens"/g)
  return Number([...lines].filter(([, number]) => Number(number) === worker).at(-1)![2])
}

function isRunning(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout.trim() !== '' && !stdout.startsWith('Z')
}

/** A request of Engine.IO: one that sends `content` if there is any, else one that polls. */
async function poll(
  origin: string,
  { agent, sid, content }: { agent?: Agent; sid?: string; content?: string | undefined } = {},
): Promise<{ status: number; body: string; isReused: boolean }> {
  const session = sid === undefined ? '' : `&sid=${sid}`
  return await new Promise((resolve, reject) => {
    const req = request(
      `${origin}/socket.io/?EIO=4&transport=polling${session}`,
      { agent: agent ?? false, method: content === undefined ? 'GET' : 'POST' },
      (res) => {
        let body = ''
        res.setEncoding('utf8')
        res.on('data', (text: string) => {
          body += text
        })
        res.on('end', () => {
          resolve({ status: res.statusCode!, body, isReused: req.reusedSocket })
        })
      },
    )
    req.on('error', reject).end(content)
  })
}

function isNewIn(stored: Map<string, string>, before: Set<string>, data: unknown): boolean {
  const { messageId } = data as { messageId: string }
  return stored.has(messageId) && !before.has(messageId)
}

async function listIds(owner: HandSession): Promise<Set<string>> {
  const ids = new Set<string>()
  for (let offset: number | null = 0; offset !== null;) {
    const { body } = await post(owner, '/listMessages', { messageBox: 'inbox', offset })
    for (const { messageId } of body.messages as Array<{ messageId: string }>) ids.add(messageId)
    offset = body.nextOffset as number | null
  }
  return ids
}
