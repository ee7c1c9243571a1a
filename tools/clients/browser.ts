/** Debian's Chromium, or the one at TEST_CHROMIUM. One browser for the tests of a file; it closes itself. */
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

/** Says so where there is no browser; with CI=true that is a failure. */
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
  /** What went wrong on any page: errors of programs, and what the console calls an error, such as a violated policy. */
  readonly problems: string[] = []

  private constructor(private readonly browser: Browser) {}

  static async launch(): Promise<TestBrowser> {
    // Its profile is a new empty folder, which goes with it.
    const browser = await chromium.launch({ executablePath: PATH, args: FLAGS })
    onEnd(async () => {
      await browser.close()
    })
    return new TestBrowser(browser)
  }

  /** A page in a window of its own: the browser slows those down that another tab hides. */
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
