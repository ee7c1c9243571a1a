import { beforeAll, describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GAUGES, TOTALS } from '../../src/metrics'
import { FREE_OF_CHARGE, type Price } from '../../src/permissions/rules'
import { lightSocket, until } from '../../tools/clients/live'
import { startServer, type TestServer } from '../../tools/servers/server'
import { handshake, post, sign, type HandSession } from '../../tools/clients/signedRequests'

let running: TestServer
let alice: HandSession

const read = async (): Promise<string> =>
  await (await fetch(`http://127.0.0.1:${running.server.metricsPort!}/metrics`)).text()

/** The sum of all series that begin with this name and labels. */
const sum = (text: string, series: string): number => {
  return text
    .split('\n')
    .filter((line) => line.startsWith(series))
    .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
}

/** How much each series grows during `work`. */
async function growth(work: () => Promise<unknown>, ...series: string[]): Promise<number[]> {
  const before = await read()
  await work()
  const after = await read()
  return series.map((name) => sum(after, name) - sum(before, name))
}

beforeAll(async () => {
  running = await startServer({
    env: { METRICS_PORT: '0', ENABLE_WEBSOCKETS: 'true', RATE_LIMIT_IDENTITY: '50' },
  })
  alice = await handshake(running.origin)
})

const send = async (messageId: string): Promise<unknown> =>
  await post(alice, '/sendMessage', {
    message: { recipient: alice.identityKey, messageBox: 'inbox', messageId, body: 'hello' },
  })

describe('metrics count', () => {
  test('requests, sends, stored and repeated messages, acknowledgements, commits', async () => {
    const grown = await growth(
      async () => {
        await send('one')
        await send('one')
        await post(alice, '/acknowledgeMessage', { messageIds: ['one'] })
      },
      'messagebox_http_requests_total{route="/sendMessage",status="200"}',
      'messagebox_http_request_duration_seconds_count{route="/sendMessage"}',
      'messagebox_sends_total',
      'messagebox_messages_stored_total',
      'messagebox_messages_duplicate_total',
      'messagebox_messages_acknowledged_total',
      'messagebox_commit_messages_count',
      'messagebox_commit_duration_seconds_count',
    )

    expect(grown).toEqual([2, 2, 2, 1, 1, 1, 2, 2])
  })

  test('handshakes and errors, over HTTP and over the socket', async () => {
    const socket = lightSocket(running.origin)
    const grown = await growth(
      async () => {
        await handshake(running.origin)
        await post(alice, '/listMessages', {})
        await fetch(`${running.origin}/listMessages`, { method: 'POST' })
        await socket.authenticate()
        socket.emit('joinRoom', 'nonsense')
        await socket.next('joinFailed')
      },
      'messagebox_handshakes_total{transport="http"}',
      'messagebox_handshakes_total{transport="socket"}',
      'messagebox_refusals_total{code="ERR_MESSAGEBOX_REQUIRED",transport="http"}',
      'messagebox_refusals_total{code="UNAUTHORIZED",transport="http"}',
      'messagebox_refusals_total{code="ERR_INVALID_ROOM",transport="socket"}',
    )

    expect(grown).toEqual([1, 1, 1, 1, 1])
  })

  test('sockets, rooms and live deliveries', async () => {
    const sockets = await Promise.all(
      [1, 2].map(async () => await lightSocket(running.origin).authenticate()),
    )
    const [first] = sockets as [(typeof sockets)[0], (typeof sockets)[0]]
    const roomId = `${first.identityKey}-inbox`
    first.emit('joinRoom', roomId)
    await first.next('joinedRoom')
    const grown = await growth(async () => {
      sockets[1]!.emit('sendMessage', {
        roomId,
        message: { messageId: randomUUID(), recipient: first.identityKey, body: 'hello' },
      })
      await first.next(`sendMessage-${roomId}`)
    }, 'messagebox_live_deliveries_total')

    expect(grown).toEqual([1])
    const text = await read()
    expect(sum(text, 'messagebox_sockets ')).toBeGreaterThanOrEqual(2)
    expect(sum(text, 'messagebox_rooms ')).toBe(1)
  })

  test('unknown paths in one series', async () => {
    const grown = await growth(async () => {
      for (const path of ['/a', '/b', '/sendMessage/x', '//x', '/%2ex'])
        await fetch(`${running.origin}${path}`)
    }, 'messagebox_http_requests_total{route="other",status="404"}')

    expect(grown).toEqual([5])
  })

  test('files of the pages in one series', async () => {
    const grown = await growth(async () => {
      for (const name of ['style.000000000000.css', 'page.js'])
        await fetch(`${running.origin}/assets/${name}`)
    }, 'messagebox_http_requests_total{route="/assets/:file",status="404"}')

    expect(grown).toEqual([2])
  })

  test('without naming keys, boxes or bodies', async () => {
    await send('secret id')
    expect(await read()).not.toMatch(/0[23][0-9a-f]{64}|inbox|secret|hello/)
  })
})

test('a request whose client disconnects counts as aborted, without a latency', async () => {
  const priceOf = async (): Promise<Price> =>
    await new Promise((resolve) =>
      setTimeout(() => {
        resolve(FREE_OF_CHARGE)
      }, 200),
    )
  const slow = await startServer({ env: { METRICS_PORT: '0' }, overrides: { priceOf } })
  const session = await handshake(slow.origin)
  const { url, init } = await sign(session, {
    target: '/sendMessage',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      message: {
        recipient: session.identityKey,
        messageBox: 'inbox',
        messageId: 'id',
        body: 'hello',
      },
    }),
  })
  await expect(
    fetch(url, { ...init, signal: AbortSignal.timeout(50) } as RequestInit),
  ).rejects.toThrow()

  const text = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${slow.server.metricsPort!}/metrics`)).text()
  await until(
    async () =>
      sum(await text(), 'messagebox_http_requests_total{route="/sendMessage",status="aborted"}') ===
      1,
  )
  expect(
    sum(await text(), 'messagebox_http_request_duration_seconds_count{route="/sendMessage"}'),
  ).toBe(0)
})

test('the metrics port serves /metrics only, and no other port does', async () => {
  const { metricsPort } = running.server
  expect(
    (await fetch(`http://127.0.0.1:${metricsPort!}/metrics`)).headers.get('content-type'),
  ).toMatch(/^text\/plain; version=0\.0\.4/)
  for (const path of ['/', '/info', '/metrics/'])
    expect((await fetch(`http://127.0.0.1:${metricsPort!}${path}`)).status).toBe(404)
  expect((await fetch(`${running.origin}/metrics`)).status).toBe(404)
  expect((await startServer()).server.metricsPort).toBeUndefined()
})

const hasPromtool = spawnSync('promtool', ['--version']).status === 0
if (!hasPromtool) {
  const text = 'NO promtool HERE: WHETHER PROMETHEUS UNDERSTANDS THE METRICS'
  if (process.env.CI === 'true') throw new Error(`${text} CANNOT BE TOLD`)
  process.stderr.write(`\n*** ${text} IS NOT TESTED. Install prometheus. ***\n`)
}

;(hasPromtool ? test : (): void => {})('promtool reads every metric', async () => {
  const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await read(),
    encoding: 'utf8',
  })

  // Complaints about names: only those of the library's nodejs_ metrics are expected.
  expect(stderr.split('\n').filter((line) => line !== '' && !line.startsWith('nodejs_'))).toEqual(
    [],
  )
  expect([0, 3]).toContain(status)
})

describe('the dashboard', () => {
  const dashboard = readFileSync(join(__dirname, '../../deploy/grafana/messagebox.json'), 'utf8')
  const expressions = [...dashboard.matchAll(/"(?:expr|query)": "((?:[^"\\]|\\.)*)"/g)].map(
    ([, text]) => JSON.parse(`"${text!}"`) as string,
  )

  test('queries only metrics that exist', async () => {
    const names = new Set(
      [...(await read()).matchAll(/^([a-z0-9_]+)[{ ]/gm)].map(([, name]) => name),
    )
    const used = expressions.flatMap(
      (text) => text.match(/\b(?:messagebox|process|nodejs)_[a-z0-9_]+/g) ?? [],
    )

    expect(used.length).toBeGreaterThan(40)
    expect([...new Set(used)].filter((name) => !names.has(name))).toEqual([])
  })

  test('shows every metric of the server', async () => {
    const names = [...(await read()).matchAll(/^# TYPE (messagebox_\w+)/gm)].map(
      ([, name]) => name!,
    )
    expect(names.length).toBeGreaterThan(Object.keys({ ...GAUGES, ...TOTALS }).length)
    expect(names.filter((name) => !expressions.some((text) => text.includes(name)))).toEqual([])
  })
})
