import { html, type Content, type Html } from './html'

export interface Site {
  /** The routing prefix: '' or '/api'. */
  prefix: string
  version: string
  hasTry: boolean
}

export interface Page {
  title: string
  /** Without the prefix, such as `/docs`. */
  path: string
  content: Html
  /** Scripts that it loads beside `page.js`, by their names in `web/`. */
  scripts?: string[]
  /** Uses the width of the window, for tables and long lines. */
  wide?: boolean
}

/** Returns the path of a file of `web/`, given its name without hash. */
export type HrefOf = (file: string) => string

/** The files that every page loads. */
export const COMMON_FILES = ['style.css', 'page.js', 'icon.svg']

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
        ${['page.js', ...(page.scripts ?? [])].map(
          (file) => html`<script type="module" src="${hrefOf(file)}"></script> `,
        )}
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
