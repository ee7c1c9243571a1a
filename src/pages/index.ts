import type { Config } from '../config'
import { toApiError } from '../contract/errors'
import { lookAround, type HealthParts } from '../operator/health'
import { currentInfo, type Info } from '../operator/info'
import { faultLogOf } from '../http/requestLog'
import type { Route } from '../routes/route'
import type { Logger } from 'pino'
import { createEventsDocument } from '../ws/events/asyncapi'
import { createDocument } from '../openapi/document'
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
  logger: Logger
}

function siteOf({ config, info }: Pick<PagesParts, 'config' | 'info'>): Site {
  return { prefix: config.http.prefix, version: info.version, hasTry: config.pages.try }
}

/** The pages and the files they load: open routes below the routing prefix. */
export function pageRoutes(parts: PagesParts): Route[] {
  const { info, assets, config } = parts
  const site = siteOf(parts)
  const docs = docsPage(createDocument({ info, prefix: site.prefix }), site)
  const events = eventsPage(createEventsDocument(), site, config.live.enabled)
  return [
    {
      method: 'get',
      path: '/',
      handler: homeHandler({
        site,
        assets,
        info: () => currentInfo(parts),
        status: statusOf(parts),
      }),
    },
    { method: 'get', path: '/docs', handler: pageHandler({ site, assets }, () => docs) },
    { method: 'get', path: '/docs/events', handler: pageHandler({ site, assets }, () => events) },
    ...(site.hasTry
      ? [
          {
            method: 'get' as const,
            path: '/try',
            handler: pageHandler({ site, assets }, () => tryPage(site), 'anywhere'),
          },
        ]
      : []),
    { method: 'get', path: '/assets/:file', handler: assetHandler(assets) },
  ]
}

/** If there is a routing prefix, the root redirects to the overview page. */
export function rootRoutes({ config }: Pick<PagesParts, 'config'>): Route[] {
  const { prefix } = config.http
  return prefix === ''
    ? []
    : [
        {
          method: 'get',
          path: '/',
          handler(_req, res) {
            res.redirect(`${prefix}/`)
          },
        },
      ]
}

function statusOf(parts: PagesParts): HomeParts['status'] {
  return async (req) => {
    try {
      const state = await lookAround(parts)
      return {
        ready: true,
        text: state === 'ready' ? 'ready' : 'ready; Redis is down, so this node works alone',
      }
    } catch (error) {
      return { ready: false, text: toApiError(error, faultLogOf(req, parts.logger)).message }
    }
  }
}
