import type { Request, RequestHandler } from 'express'
import type { Assets } from './assets'
import { COMMON_FILES, layout, type Page, type Site } from './layout'
import { securityHeaders, type Reach } from './security'

export interface PageParts {
  site: Site
  assets: Assets
}

/**
 * @param render is called for each request
 * @param reach where the scripts of the page may connect to
 */
export function pageHandler(
  { site, assets }: PageParts,
  render: (req: Request) => Page | Promise<Page>,
  reach: Reach = 'here',
): RequestHandler {
  const secure = securityHeaders(reach)
  return async (req, res) => {
    const page = await render(req)
    const files = [...COMMON_FILES, ...(page.scripts ?? [])]
    const hrefs = new Map(
      await Promise.all(
        files.map(
          async (file) =>
            [file, `${site.prefix}/assets/${(await assets.load(file)).name}`] as const,
        ),
      ),
    )
    await new Promise<void>((resolve, reject) => {
      secure(req, res, (error) => {
        if (error === undefined) resolve()
        else reject(error as Error)
      })
    })
    // The names of the files that a page loads change with the server's version.
    res
      .set('cache-control', 'no-cache')
      .type('html')
      .send(String(layout(site, page, (file) => hrefs.get(file)!)))
  }
}
