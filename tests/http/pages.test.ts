/**
 * The pages over HTTP: content negotiation, headers, hashed file names. Browser tests:
 * tests/browser.
 */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import request from 'supertest'
import { html } from '../../src/pages/html'
import { expectCors, expectError } from '../../tools/contract/refusals'
import { startServer, type TestServer } from '../../tools/servers/server'

let plain: TestServer
let prefixed: TestServer

beforeAll(async () => {
  ;[plain, prefixed] = await Promise.all([
    startServer({
      env: { DELIVERY_FEES: 'notifications=10', HOSTING_DOMAIN: 'https://box.example.com' },
    }),
    startServer({ env: { ROUTING_PREFIX: '/box/api', ENABLE_TRY: 'true' } }),
  ])
})

const get = async (url: string, accept = 'text/html', init: RequestInit = {}): Promise<Response> =>
  await fetch(url, { ...init, headers: { accept, ...(init.headers as Record<string, string>) } })
const linksOf = (text: string): string[] =>
  [...text.matchAll(/(?:href|src)="([^"#]+)"/g)].map(([, link]) => link!)

describe('GET /', () => {
  test.each([
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    '*/*',
    'text/html',
    'text/plain',
  ])('sends a page for the accept header %s', async (accept) => {
    const answer = await get(`${plain.host}/`, accept)
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('vary')]).toEqual(
      [200, 'text/html; charset=utf-8', 'accept'],
    )
    const text = await answer.text()
    for (const part of [
      plain.server.context.info.identityKey,
      'notifications',
      '10 satoshis',
      '10 MiB',
      'https://box.example.com',
      '>ready<',
    ])
      expect(text).toContain(part)
    expectCors(answer.headers)
  })

  test.each(['application/json', 'application/json, text/html;q=0.5'])(
    'sends the JSON of /info for the accept header %s',
    async (accept) => {
      const answer = await get(`${plain.host}/`, accept)
      expect([answer.headers.get('content-type'), answer.headers.get('vary')]).toEqual([
        'application/json; charset=utf-8',
        'accept',
      ])
      expect(await answer.json()).toEqual(await (await fetch(`${plain.host}/info`)).json())
      expect(answer.headers.has('content-security-policy')).toBe(false)
    },
  )

  test('HEAD is answered with headers only; other methods are rejected', async () => {
    const answer = await get(`${plain.host}/`, 'text/html', { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      200,
      'text/html; charset=utf-8',
      '',
    ])
    const refused = await request(plain.host).post('/')
    expectError(refused, [405, 'ERR_METHOD_NOT_ALLOWED'])
    expect(refused.headers.allow).toBe('GET')
  })

  test('the page says if the schema is not up to date', async () => {
    const broken = await startServer({ env: { MIGRATE_ON_START: 'false' } })
    expect(await (await get(`${broken.host}/`)).text()).toContain(
      'The database&#39;s schema is outdated',
    )
  })

  test('if a prefix is set, the root redirects to it', async () => {
    const answer = await get(prefixed.origin, 'text/html', { redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/box/api/'])
    for (const path of ['', '/']) expect((await get(`${prefixed.host}${path}`)).status).toBe(200)
  })
})

test('the example on the page runs once its server address is filled in', async () => {
  const text = await (await get(`${prefixed.host}/`)).text()
  // A page contains nothing that a client sends, not even its Host header.
  expect(text).not.toContain(new URL(prefixed.origin).host)
  const [, code] = /<code data-copy="the program">([^]*?)<\/code>/.exec(text)!
  const folder = mkdtempSync(join(tmpdir(), 'messagebox-page-'))
  try {
    symlinkSync(join(__dirname, '../../node_modules'), join(folder, 'node_modules'))
    writeFileSync(
      join(folder, 'hello.mjs'),
      code!.replace(/<[^>]+>/g, '').replace('http://localhost:8080', prefixed.origin),
    )
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'hello.mjs')], {
      timeout: 30_000,
    })
    expect(stdout).toBe('Bob reads: Good morning!\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a file name with invalid percent-encoding is answered with 400', async () => {
  expectError(await request(plain.host).get('/assets/%ff').accept('text/html'), [
    400,
    'ERR_BAD_REQUEST',
  ])
})

test('long paths are answered quickly', async () => {
  const since = performance.now()
  for (let i = 0; i < 20; i++)
    expect((await get(`${plain.host}/${'a'.repeat(15_000)}//`)).status).toBe(404)
  expect(performance.now() - since).toBeLessThan(5000)
})

describe('security headers', () => {
  const policy = async (path: string): Promise<string> =>
    (await get(`${prefixed.host}${path}`)).headers.get('content-security-policy')!

  test('pages forbid inline code, content from other origins and frames', async () => {
    const strict =
      "default-src 'none';script-src 'self';style-src 'self';img-src 'self';connect-src 'self'REACH;frame-ancestors 'none';base-uri 'none';form-action 'self'"
    expect(await policy('/')).toBe(strict.replace('REACH', ''))
    // The page /try may connect to other servers.
    expect(await policy('/try')).toBe(strict.replace('REACH', ' http: https: ws: wss:'))
    const { headers } = await get(`${prefixed.host}/`)
    expect(Object.fromEntries(headers)).toMatchObject({
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache',
    })
    expect(headers.has('strict-transport-security')).toBe(false)
  })

  test.each(['/info', '/health', '/listMessages', '/nothing'])(
    '%s does not have them',
    async (path) => {
      const { headers } = await get(`${plain.host}${path}`)
      expect(
        [...headers.keys()].filter((name) =>
          /^(content-security|cross-origin|referrer|x-frame)/.test(name),
        ),
      ).toEqual([])
    },
  )
})

describe('files that pages load', () => {
  test('all links of the pages begin with the prefix', async () => {
    for (const path of ['/', '/try']) {
      const links = linksOf(await (await get(`${prefixed.host}${path}`)).text())
      expect(links.filter((link) => !link.startsWith('/box/api/'))).toEqual([])
    }
  })

  test('file names contain a hash, and clients may cache the files permanently', async () => {
    const files = linksOf(await (await get(`${prefixed.host}/try`)).text()).filter((link) =>
      link.includes('/assets/'),
    )
    expect(
      files
        .map((file) =>
          file
            .replace(/[0-9a-f]{12}/, 'HASH')
            .split('/')
            .at(-1),
        )
        .sort(),
    ).toEqual(['icon.HASH.svg', 'page.HASH.js', 'style.HASH.css', 'try.HASH.js'])
    for (const file of files) {
      const answer = await get(`${prefixed.origin}${file}`)
      expect([
        answer.status,
        answer.headers.get('cache-control'),
        answer.headers.get('content-encoding'),
      ]).toEqual([200, 'public, max-age=31536000, immutable', 'gzip'])
      const raw = await get(`${prefixed.origin}${file}`, '*/*', {
        headers: { 'accept-encoding': 'identity' },
      })
      expect([raw.headers.get('content-encoding'), await raw.text()]).toEqual([
        null,
        await answer.text(),
      ])
    }
  })

  test.each([
    'style.css',
    'style.000000000000.css',
    'nothing.000000000000.css',
    'tsconfig.000000000000.json',
    '..%2fpackage.json',
    '__proto__',
  ])('%s is not found', async (file) => {
    expectError(await request(plain.host).get(`/assets/${file}`).accept('text/html'), [
      404,
      'ERR_NOT_FOUND',
    ])
  })
})

test('/try exists only if it is enabled', async () => {
  expect((await get(`${prefixed.host}/try`)).status).toBe(200)
  expect((await get(`${plain.host}/try`)).status).toBe(404)
  expect(await (await get(`${plain.host}/`)).text()).not.toContain('/try')
})

test('values in a page are escaped', () => {
  expect(
    String(
      html`<p title="${'"\'<&>'}">${'<script>'}${[html`<b>${'&'}</b>`, 1]}${false}${undefined}</p>`,
    ),
  ).toBe('<p title="&quot;&#39;&lt;&amp;&gt;">&lt;script&gt;<b>&amp;</b>1</p>')
})
