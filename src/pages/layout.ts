import { html, type Content, type Html } from './html'

/** What all pages have in common. */
export interface Site {
  /** Before all paths: '' or '/api'. */
  prefix: string
  version: string
  /** Whether there is /try. */
  hasTry: boolean
}

export interface Page {
  title: string
  /** Its own path without the prefix, such as `/docs`. */
  path: string
  content: Html
  /** Programs that it loads beside the common one, by their plain names in `web/`. */
  scripts?: string[]
  /** For tables and long lines: as broad as the window, within reason. */
  wide?: boolean
}

/** The path of a file of `web/`, by its plain name. */
export type HrefOf = (file: string) => string

/** The files of every page. */
export const COMMON_FILES = ['style.css', 'page.js', 'icon.svg']

/** A whole document around a page's content. */
export function layout(site: Site, page: Page, hrefOf: HrefOf): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${page.title}${page.path !== '/' && ' · MessageBox server'}</title>
        <link rel="icon" type="image/svg+xml" href="${hrefOf('icon.svg')}" />
        <link rel="stylesheet" href="${hrefOf('style.css')}" />
        ${['page.js', ...(page.scripts ?? [])].map((file) => html`<script type="module" src="${hrefOf(file)}"></script> `)}
      </head>
      <body>
        <a class="skip" href="#content">Skip to the content</a>
        <header class="top">
          <a class="brand" href="${site.prefix}/">MessageBox</a>
          <nav aria-label="Pages">
            <ul>
              ${navigation(site, page)}
            </ul>
          </nav>
        </header>
        <main id="content" tabindex="-1" ${page.wide === true && html` class="wide"`}>
          ${page.content}
        </main>
        <footer><p>MessageBox server ${site.version}</p></footer>
      </body>
    </html> `
}

function navigation({ prefix, hasTry }: Site, page: Page): Content {
  const links = [
    ['/', 'Server'],
    ['/docs', 'API'],
    ['/docs/events', 'Events'],
    ...(hasTry ? [['/try', 'Try it']] : []),
  ]
  return links.map(
    ([path, text]) =>
      html`<li>
        <a href="${prefix}${path}" ${path === page.path && html` aria-current="page"`}>${text}</a>
      </li>`,
  )
}
