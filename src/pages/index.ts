import type { Config } from '../config'
import { toApiError } from '../contract/errors'
import { once } from '../lib/once'
import { checkReadiness, type HealthParts } from '../operator/health'
import { currentInfo, type Info } from '../operator/info'
import { faultLogOf } from '../http/requestLog'
import type { RouteDeclaration } from '../routes/route'
import type { Logger } from 'pino'
import type { OpenApiDocument } from '../openapi/document'
import type { EventsDocument } from '../ws/events/asyncapi'
import { assetHandler, type Assets } from './assets'
import { docsPage } from './docs'
import { eventsPage } from './docs/events'
import { homeHandler, type HomeParts } from './home'
import type { Site } from './layout'
import { pageHandler } from './page'
import { tryPage } from './try'

export interface PagesParts extends HealthParts {
  config: Config
  info: Info
  advertiser: { state: object | undefined }
  assets: Assets
  openapi: () => OpenApiDocument
  asyncapi: () => EventsDocument
  logger: Logger
}

function siteOf({ config, info }: Pick<PagesParts, 'config' | 'info'>): Site {
  return { prefix: config.http.prefix, version: info.version, hasTry: config.pages.try }
}

/** Declares the route of a page, or of a file that pages load. */
function page(
  path: string,
  summary: string,
  createHandler: RouteDeclaration<PagesParts>['createHandler'],
): RouteDeclaration<PagesParts> {
  return { method: 'get', path, access: 'open', summary, createHandler }
}

export const PAGE_ROUTES: Array<RouteDeclaration<PagesParts>> = [
  page('/', 'Overview page; JSON as `/info` for programs', (parts) =>
    homeHandler({
      site: siteOf(parts),
      assets: parts.assets,
      info: () => currentInfo(parts),
      status: statusOf(parts),
    }),
  ),
  page('/docs', 'HTTP API page', (parts) => {
    const site = siteOf(parts)
    const docs = once(() => docsPage(parts.openapi(), site))
    return pageHandler({ site, assets: parts.assets }, docs)
  }),
  page('/docs/events', 'Socket events page', (parts) => {
    const site = siteOf(parts)
    const events = once(() => eventsPage(parts.asyncapi(), site, parts.config.live.enabled))
    return pageHandler({ site, assets: parts.assets }, events)
  }),
  {
    ...page('/try', 'Inbox in the browser', (parts) => {
      const site = siteOf(parts)
      return pageHandler({ site, assets: parts.assets }, () => tryPage(site), 'anywhere')
    }),
    isEnabled: ({ config }) => config.pages.try,
  },
  page('/assets/:file', 'Files that pages load', ({ assets }) => assetHandler(assets)),
  {
    ...page('/', 'Redirects to the home page under the routing prefix', ({ config }) => {
      return (_req, res) => {
        res.redirect(`${config.http.prefix}/`)
      }
    }),
    atRoot: true,
    isEnabled: ({ config }) => config.http.prefix !== '',
  },
]

function statusOf(parts: PagesParts): HomeParts['status'] {
  return async (req) => {
    try {
      const state = await checkReadiness(parts)
      return {
        ready: true,
        text: state === 'ready' ? 'ready' : 'ready; Redis is down, so this node works alone',
      }
    } catch (error) {
      return { ready: false, text: toApiError(error, faultLogOf(req, parts.logger)).message }
    }
  }
}
