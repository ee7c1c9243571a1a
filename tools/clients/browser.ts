/** Runs Debian's Chromium, or TEST_CHROMIUM, for the tests of a file, and closes it after them. */
import { existsSync } from 'node:fs'
import { chromium, type Browser, type Page } from 'playwright-core'
import { onEnd } from '../servers/server'

const PATH = process.env.TEST_CHROMIUM ?? '/usr/bin/chromium'

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Prints a line if there is no browser. With CI=true that is a failure. */
export function hasBrowser(): boolean {
  if (existsSync(PATH)) return true
  const text = 'NO chromium HERE: WHETHER THE PAGES WORK IN A BROWSER'
  if (process.env.CI === 'true') throw new Error(`${text} CANNOT BE TOLD`)
  process.stderr.write(`\n*** ${text} IS NOT TESTED. Install chromium. ***\n`)
  return false
}

export interface PageOptions {
  javaScript?: boolean
}

export class TestBrowser {
  /** Exceptions and console errors of all pages, such as violations of the content policy. */
  readonly problems: string[] = []

  private constructor(private readonly browser: Browser) {}

  static async launch(): Promise<TestBrowser> {
    // Playwright makes an empty folder for the profile, and removes it.
    const browser = await chromium.launch({ executablePath: PATH, args: FLAGS })
    onEnd(async () => {
      await browser.close()
    })
    return new TestBrowser(browser)
  }

  /** Opens a page in a window of its own: the browser slows down pages in hidden tabs. */
  async newPage({ javaScript = true }: PageOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({
      javaScriptEnabled: javaScript,
      permissions: ['clipboard-read', 'clipboard-write'],
    })
    const page = await context.newPage()
    page.setDefaultTimeout(15_000)
    page.on('pageerror', (error) => {
      this.problems.push(`${page.url()}: ${error.message}`)
    })
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()))
        this.problems.push(`${page.url()}: ${message.text()}`)
    })
    return page
  }

  async open(url: string, options?: PageOptions): Promise<Page> {
    const page = await this.newPage(options)
    await page.goto(url)
    return page
  }

  async closePages(): Promise<void> {
    await Promise.all(
      this.browser.contexts().map(async (context) => {
        await context.close()
      }),
    )
  }
}
