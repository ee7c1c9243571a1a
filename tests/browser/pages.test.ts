/** The pages in a real browser: their functions, what they load, and their accessibility. */
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { AxeResults } from 'axe-core'
import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import { newClient } from '../../tools/clients/clients'
import { hasBrowser, TestBrowser, type PageOptions } from '../../tools/clients/browser'
import { until } from '../../tools/clients/live'
import { startServer, type TestServer } from '../../tools/servers/server'

const PAGES = ['/', '/docs', '/docs/events', '/try']
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

let browser: TestBrowser
let plain: TestServer
let prefixed: TestServer

;(hasBrowser() ? describe : describe.skip)('in Chromium', () => {
  beforeAll(async () => {
    const env = { ENABLE_WEBSOCKETS: 'true', ENABLE_TRY: 'true' }
    ;[browser, plain, prefixed] = await Promise.all([
      TestBrowser.launch(),
      startServer({ env }),
      startServer({ env: { ...env, ROUTING_PREFIX: '/box/api' } }),
    ])
  })

  afterEach(async () => {
    await browser.closePages()
    expect(browser.problems.splice(0)).toEqual([])
  })

  const opened = async (path: string, options?: PageOptions): Promise<Page> =>
    await browser.open(`${plain.host}${path}`, options)

  describe('/', () => {
    test("shows the server's key and copies it", async () => {
      const { identityKey } = plain.server.context.info
      const page = await opened('/')
      expect(await page.title()).toBe('MessageBox server')
      expect(await page.locator('.key').textContent()).toBe(identityKey)

      await page.getByRole('button', { name: 'Copy the identity key' }).click()
      await page.getByText('Copied').waitFor()
      expect(await page.evaluate('navigator.clipboard.readText()')).toBe(identityKey)
    })

    test('the example uses the address of the page', async () => {
      const page = await browser.open(prefixed.origin)
      expect(page.url()).toBe(`${prefixed.host}/`)
      expect(await page.locator('pre').nth(1).textContent()).toContain(
        `const host = '${prefixed.host}'`,
      )
    })

    test('without JavaScript, all text is readable and no dead button is shown', async () => {
      const page = await opened('/', { javaScript: false })
      expect(await page.locator('.key').textContent()).toBe(plain.server.context.info.identityKey)
      expect(await page.locator('pre').nth(1).textContent()).toContain(
        "const host = 'http://localhost:8080'",
      )
      expect(await page.getByRole('button').count()).toBe(0)
    })

    test('the first tab stop skips the navigation', async () => {
      const page = await opened('/')
      await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      expect(await page.evaluate('document.activeElement.id')).toBe('content')
    })
  })

  describe('/docs', () => {
    test.each([true, false])(
      'an operation opens by a click and by a link (JavaScript: %p)',
      async (javaScript) => {
        const page = await opened('/docs', { javaScript })
        const field = page.locator('#sendMessage').getByText('message.messageBox', { exact: true })
        expect(await field.isVisible()).toBe(false)
        await page.getByText('Send a message to up to 100 recipients').click()
        await field.waitFor()

        const other = await opened('/docs#quote', { javaScript })
        await other.locator('#quote').getByText('recipient', { exact: true }).first().waitFor()
        await other.locator('#quote').getByRole('link', { name: 'ERR_TOO_MANY_RECIPIENTS' }).click()
        expect(other.url()).toContain('#ERR_TOO_MANY_RECIPIENTS')
      },
    )

    test('a button copies an example', async () => {
      const page = await opened('/docs#health')
      await page.getByRole('button', { name: 'Copy a program for health' }).click()
      await page.getByText('Copied').waitFor()
      expect(await page.evaluate('navigator.clipboard.readText()')).toContain(
        'fetch(`${host}/health`)',
      )
    })
  })

  describe('/try', () => {
    const connected = async (page: Page): Promise<Page> => {
      await page.getByText('Connected: messages arrive live.').waitFor()
      return page
    }
    const identityOf = async (page: Page): Promise<string> =>
      (await page.locator('#identity').textContent())!
    const write = async (
      from: Page,
      to: Page,
      text: string,
      over: 'the socket' | 'HTTP' = 'the socket',
    ): Promise<void> => {
      await from.getByLabel('To (identity key)').fill(await identityOf(to))
      await from.getByLabel('Message', { exact: true }).fill(text)
      await from.getByLabel(over, { exact: true }).check()
      await from.getByRole('button', { name: 'Send', exact: true }).click()
      await from.locator('#sent').getByText('Stored for').waitFor()
    }
    const arrived = async (page: Page, text: string): Promise<string> =>
      (await page.getByRole('log').getByRole('listitem').filter({ hasText: text }).textContent())!
    const twoPages = async (url: string): Promise<[Page, Page]> => {
      const [alice, bob] = await Promise.all([browser.open(url), browser.open(url)])
      return [await connected(alice), await connected(bob)]
    }

    test('a message arrives live and decrypted, and can be listed and acknowledged', async () => {
      const [alice, bob] = await twoPages(`${plain.host}/try`)
      expect(await identityOf(alice)).not.toBe(await identityOf(bob))

      await write(alice, bob, 'Good morning, Bob!')
      expect(await arrived(bob, 'Good morning, Bob!')).toMatch(/^From .*live/)
      await write(alice, bob, 'And over HTTP.', 'HTTP')
      expect(await arrived(bob, 'And over HTTP.')).toMatch(/^From .*live/)

      await bob.reload()
      await connected(bob)
      expect(await arrived(bob, 'Good morning, Bob!')).toContain('over HTTP')

      await bob
        .getByRole('listitem')
        .filter({ hasText: 'Good morning' })
        .getByRole('button', { name: 'Acknowledge' })
        .click()
      await bob.getByText('Acknowledged: the server has deleted it.').waitFor()
      await bob.getByRole('button', { name: 'List the box over HTTP' }).click()
      await bob.getByText('1 in the box “inbox”.').waitFor()
      expect(await bob.getByRole('log').getByRole('listitem').count()).toBe(1)
    })

    test('a rule blocks a sender, and the page shows the error', async () => {
      const [alice, bob] = await twoPages(`${plain.host}/try`)
      await bob.getByLabel('Sender (identity key)').fill(await identityOf(alice))
      await bob.getByLabel('Fee in satoshis').fill('-1')
      await bob.getByRole('button', { name: 'Set the rule' }).click()
      await bob.getByText('is blocked, in the box “inbox”.').waitFor()

      await alice.getByLabel('To (identity key)').fill(await identityOf(bob))
      await alice.getByLabel('Message', { exact: true }).fill('Let me in.')
      await alice.getByRole('button', { name: 'Send', exact: true }).click()
      await alice
        .getByText(
          'A recipient does not accept messages from you in this box. (ERR_DELIVERY_BLOCKED)',
        )
        .waitFor()
      // Chromium and the client log a rejected request to the console.
      expect(
        browser.problems
          .splice(0)
          .filter((line) => !/status of 403 \(Forbidden\)$|\[MB CLIENT ERROR\]/.test(line)),
      ).toEqual([])
    })

    test('shows socket events and signed requests, and clears them for a new key', async () => {
      const page = await connected(await opened('/try'))
      const before = await identityOf(page)
      await page.getByRole('button', { name: 'To myself' }).click()
      await page.getByLabel('Message', { exact: true }).fill('Look at me.')
      await page.getByRole('button', { name: 'Send', exact: true }).click()
      await arrived(page, 'Look at me.')

      const frame = page
        .locator('#frames details')
        .filter({ hasText: /An encrypted message for the server/ })
      await frame.locator('summary').click()
      expect(await frame.textContent()).toMatch(
        /encryptedMessage.*"messageType": "general".*"signature": "30[0-9a-f]+"/s,
      )
      expect(await frame.textContent()).not.toContain('Look at me')
      const request = page
        .locator('#frames details')
        .filter({ hasText: 'POST /listMessages 200' })
        .first()
      await request.locator('summary').click()
      expect(await request.textContent()).toMatch(
        /Sent.*x-bsv-auth-identity-key: 0[23].*x-bsv-auth-signature: 30.*"messageBox": "inbox".*Response.*x-bsv-auth-signature: 30/s,
      )

      await page.getByRole('button', { name: 'New key' }).click()
      await page.getByText('The box “inbox” is empty.').waitFor()
      expect(await identityOf(page)).toMatch(/^0[23][0-9a-f]{64}$/)
      expect(await identityOf(page)).not.toBe(before)
      expect(await page.getByRole('log').getByRole('listitem').count()).toBe(0)
    })

    test('works under a routing prefix', async () => {
      const [alice, bob] = await twoPages(`${prefixed.host}/try`)
      await write(alice, bob, 'Below a prefix')
      expect(await arrived(bob, 'Below a prefix')).toContain('live')
    })

    test('works with a server at another origin', async () => {
      const pages = await twoPages(`${plain.host}/try`)
      for (const page of pages) {
        await page.getByLabel('Server', { exact: true }).fill(prefixed.host)
        await page.getByRole('button', { name: 'Connect' }).click()
        await page.locator('#frames').getByText('GET /box/api/info 200').waitFor()
        await connected(page)
      }
      const [alice, bob] = pages
      await write(alice, bob, 'From elsewhere')
      expect(await arrived(bob, 'From elsewhere')).toContain('live')
    })

    test('reconnects after a restart of the server and shows missed messages', async () => {
      const other = await startServer({ env: { ENABLE_WEBSOCKETS: 'true', ENABLE_TRY: 'true' } })
      const [alice, bob] = await twoPages(`${other.host}/try`)
      const recipient = await identityOf(bob)
      await other.restart()
      const { client } = await newClient(other.host)
      await client.sendMessage(
        { recipient, messageBox: 'inbox', body: 'While you were away' },
        other.host,
      )
      await arrived(bob, 'While you were away')
      await Promise.all([connected(alice), connected(bob)])
      await write(alice, bob, 'And now')
      expect(await arrived(bob, 'And now')).toContain('live')
      // Chromium logs failed connections while the server is down.
      expect(
        browser.problems.splice(0).filter((line) => !/net::ERR_|WebSocket/.test(line)),
      ).toEqual([])
    })

    test('adds a missing scheme to an address and reports an invalid one', async () => {
      const page = await connected(await opened('/try'))
      const connect = async (address: string): Promise<void> => {
        await page.getByLabel('Server', { exact: true }).fill(address)
        await page.getByRole('button', { name: 'Connect' }).click()
      }
      for (const address of [
        'ftp://box.example.com',
        'not an address',
        'https://me:secret@box.example.com',
      ]) {
        await connect(address)
        await page.getByText('This is not the address of a server.').waitFor()
        await page.getByRole('button', { name: 'List the box over HTTP' }).click()
        await page.getByText('Not connected: enter the address of a server first.').waitFor()
        await connect(`${new URL(prefixed.host).host}/box/api/`)
        await connected(page)
        expect(await page.getByLabel('Server', { exact: true }).inputValue()).toBe(prefixed.host)
        expect(await page.getByLabel('the socket', { exact: true }).isChecked()).toBe(true)
      }
    })

    test('reports a server without live messages and one that does not answer', async () => {
      const silent = await startServer()
      const page = await connected(await opened('/try'))
      await page.getByLabel('Server', { exact: true }).fill(silent.host)
      await page.getByRole('button', { name: 'Connect' }).click()
      await page.getByText('Live messages are off at this server').waitFor()
      const socket = page.getByLabel('the socket', { exact: true })
      expect([
        await socket.isDisabled(),
        await page.getByLabel('HTTP', { exact: true }).isChecked(),
      ]).toEqual([true, true])
      await write(page, page, 'To myself', 'HTTP')
      await page.getByRole('button', { name: 'List the box over HTTP' }).click()
      expect(await arrived(page, 'To myself')).toContain('over HTTP')

      await silent.server.stop()
      await page.getByRole('button', { name: 'Connect' }).click()
      await page
        .getByText(
          'The server does not answer. Check its address, and that it runs. Next attempt in',
        )
        .waitFor()
      await until(() => browser.problems.length > 0)
      expect(
        browser.problems.splice(0).filter((line) => !line.includes('net::ERR_CONNECTION_REFUSED')),
      ).toEqual([])
    })
  })

  test('/docs fits its columns and states once which of two fields is required', async () => {
    const page = await opened('/docs#sendMessage')
    for (const width of [1280, 375]) {
      await page.setViewportSize({ width, height: 800 })
      const crossing = await page.evaluate(`(() => {
        const boxes = [...document.querySelectorAll('.contents a')].map(link => [link.textContent, link.getBoundingClientRect(), link.closest('.contents > ul').getBoundingClientRect()])
        const out = boxes.filter(([, box, all]) => box.right > all.right + 1 || box.right > innerWidth)
        const over = boxes.filter(([, a], at) => boxes.some(([, b], other) => other > at && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1))
        return [...out, ...over].map(([text]) => text)
      })()`)
      expect({ width, crossing }).toEqual({ width, crossing: [] })
    }
    const rows = await page
      .locator('#sendMessage th[scope=row]')
      .filter({ hasText: /^message\.recipients? / })
      .allTextContents()
    expect(rows).toEqual([
      'message.recipient one of the two is required',
      'message.recipients one of the two is required',
    ])
  })

  describe.each(PAGES)('%s', (path) => {
    let page: Page
    const asked: string[] = []

    const serious = async (): Promise<unknown[]> => {
      // Only violations leave the page: all results are megabytes.
      const violations = (await page.evaluate(
        'axe.run().then(({ violations }) => violations)',
      )) as AxeResults['violations']
      return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])
    }

    test('passes axe in light and dark, fits a phone, and loads no foreign files', async () => {
      page = await browser.newPage()
      page.on('request', (request) => {
        asked.push(request.url())
      })
      await page.goto(`${plain.host}${path}`)
      if (path === '/try') await fill()
      await page.evaluate(AXE)

      expect(await serious()).toEqual([])
      await page.emulateMedia({ colorScheme: 'dark' })
      expect(await serious()).toEqual([])
      await page.setViewportSize({ width: 390, height: 844 })
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
      expect(asked.filter((url) => !url.startsWith(plain.origin))).toEqual([])
      expect(await page.locator('script:not([src]), style, [style]').count()).toBe(0)
    })

    /** Leaves a message in the box and an open frame. */
    async function fill(): Promise<void> {
      await page.getByText('Connected').waitFor()
      await page.getByRole('button', { name: 'To myself' }).click()
      await page.getByLabel('Message', { exact: true }).fill('For axe')
      await page.getByRole('button', { name: 'Send', exact: true }).click()
      await page.getByRole('log').getByText('For axe').waitFor()
      await page.locator('#frames summary').first().click()
    }
  })
})
